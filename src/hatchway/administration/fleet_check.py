"""What `hatchway fleet check` finds in files, and how it tells."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchway.administration.fleet_files import files_in, read_fleet_file
from hatchway.errors import BadUsage
from hatchway.fleet import BadFleet, Problem
from hatchway.fleet.check import CheckedFile, check_file
from hatchway.policies.reference import ReferenceMissing, aws_facts

if TYPE_CHECKING:
    from hatchway.fleet.lint import PolicyFinding


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
        BadUsage: files cannot be read, or are links that lead out of the directory; it names them all.
    """
    contents, unreadable = [], []
    for path in paths:
        try:
            _refuse_leading_out(path)
            contents.append((path, read_fleet_file(path)))
        except BadFleet as problem:
            unreadable.append(str(problem))
    if unreadable:
        raise BadUsage("\n".join(unreadable))
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


def _refuse_leading_out(path: Path) -> None:
    """Refuses a link that leads out of the working directory, or where that holds no such file, of its own.

    Messages quote the file. A stranger's change that has a runner check a link to a file of secrets must not
    make it print them.

    Raises:
        BadFleet: it is such a link.
    """
    named, here = Path(os.path.abspath(path)), Path.cwd()  # noqa: PTH100 (resolves no links)
    if named.is_relative_to("/dev"):
        return  # standard input, or what a shell puts there: no change has files there
    in_here = named.is_relative_to(here) and here != here.parent
    directory = here if in_here else named.parent
    if not Path(os.path.realpath(named)).is_relative_to(os.path.realpath(directory)):
        name = repr(str(path))[1:-1]
        raise BadFleet([Problem(name, f"is a link out of {directory}: name the file that it leads to")])


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
