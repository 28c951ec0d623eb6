"""What `hatchway lint` finds in files, and how it tells."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hatchway import __version__
from hatchway.errors import BadUsage
from hatchway.iam import PolicyKind
from hatchway.iam.lint import Severity, lint_document
from hatchway.iam.lint.render import LintedFile, to_json, to_sarif, to_text
from hatchway.policies.files import read_file
from hatchway.policies.reference import ReferenceMissing, aws_facts

RENDERERS: Mapping[str, Callable[[Sequence[LintedFile]], str]] = {
    "text": to_text,
    "json": to_json,
    "sarif": lambda files: to_sarif(files, __version__),
}
"""How findings are told, by the name of the format."""


def lint_files(paths: Sequence[Path], kind: PolicyKind) -> list[LintedFile]:
    """The findings about each file.

    Raises:
        BadUsage: a file cannot be read, or the facts about AWS's services are not installed.
    """
    try:
        facts = aws_facts()
    except ReferenceMissing as problem:
        raise BadUsage(str(problem)) from problem
    linted = []
    for path in paths:
        content = read_file(path)
        text = content.decode("utf-8-sig", errors="replace")
        linted.append(LintedFile(path.as_posix(), text, lint_document(content, facts, kind=kind)))
    return linted


def worth_failing(files: Sequence[LintedFile]) -> bool:
    """Whether something was found that is more than worth knowing."""
    return any(finding.severity is not Severity.NOTE for file in files for finding in file.findings)
