"""What `hatchway fleet check` finds in files, and how it tells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchway.administration.fleet_files import files_in, read_fleet_file
from hatchway.errors import BadUsage
from hatchway.fleet import BadFleet
from hatchway.fleet.check import CheckedFile, check_file
from hatchway.policies.reference import ReferenceMissing, aws_facts

if TYPE_CHECKING:
    from hatchway.fleet.lint import PolicyFinding
    from hatchway.fleet.problems import Problem


@dataclass(frozen=True, slots=True)
class NamedFile:
    name: str
    found: CheckedFile


@dataclass(frozen=True, slots=True)
class CheckedFiles:
    """`unchecked` is what lint could not look at in any of them."""

    files: Sequence[NamedFile]
    unchecked: str | None


def check_files(paths: Sequence[Path]) -> CheckedFiles:
    """
    Raises:
        BadUsage: a file cannot be read.
    """
    try:
        contents = [(path, read_fleet_file(path)) for path in paths]
    except BadFleet as problem:
        raise BadUsage(str(problem)) from problem
    facts = unchecked = None
    try:
        facts = aws_facts()
    except ReferenceMissing as problem:
        unchecked = f"actions and condition keys of policies were not looked up: {problem}"
    checked = [
        NamedFile(str(path), check_file(content, files_in(path.parent), facts)) for path, content in contents
    ]
    has_policies = any(each.found.documents for each in checked)
    return CheckedFiles(checked, unchecked if has_policies else None)


def check_lines(checked: CheckedFiles, *, accept_policy_errors: bool) -> Iterable[str]:
    """For each file a line for each thing found, as compilers write them, and one that sums them up."""
    for file in checked.files:
        found = file.found
        told: list[tuple[Problem | PolicyFinding, str]] = [
            *((problem, "error") for problem in found.problems),
            *((finding, str(finding.finding.severity)) for finding in found.findings),
            *((question, "not checked") for question in found.unchecked),
        ]
        for each, kind in told:
            line = found.line_of(each)
            yield f"{file.name}{f':{line}' if line else ''}: {kind}: {each}"
        verdict = "refused" if found.refused(accept_policy_errors=accept_policy_errors) else "good"
        counts = (
            f"problems {len(found.problems)}, findings in policies {len(found.findings)},"
            f" not checked {len(found.unchecked)}"
        )
        yield f"{file.name}: {verdict}: {counts}"
    if checked.unchecked:
        yield f"not checked: {checked.unchecked}"


def check_json(checked: CheckedFiles, *, accept_policy_errors: bool) -> dict[str, Any]:
    """As plain values that JSON holds."""
    return {
        "files": [
            {
                "file": file.name,
                "good": not file.found.refused(accept_policy_errors=accept_policy_errors),
                **file.found.to_json(),
            }
            for file in checked.files
        ],
        "unchecked": checked.unchecked,
    }
