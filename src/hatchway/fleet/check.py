"""Checking a fleet file by itself, wherever it is: all that is wrong with it, without the account it is for.

What only the account can answer is not guessed: it is told as not checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatchway.fleet.lines import line_of, lines_of
from hatchway.fleet.lint import PolicyFinding, lint_policies
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.policy_documents import ReadFile, no_files
from hatchway.fleet.problems import BadFleet, Problem
from hatchway.fleet.resolution import references_outside
from hatchway.iam.lint import Facts, Home

if TYPE_CHECKING:
    from hatchway.fleet.declarations import Fleet


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What was found. `documents` counts the policies that lint has looked at; `lines` are of places."""

    problems: Sequence[Problem]
    findings: Sequence[PolicyFinding]
    unchecked: Sequence[Problem]
    documents: int
    lines: Mapping[str, int]

    def refused(self, *, accept_policy_errors: bool = False) -> bool:
        """Whether `apply` would refuse the file, were its policies all new."""
        return bool(self.problems) or (
            not accept_policy_errors and any(finding.refuses for finding in self.findings)
        )

    def line_of(self, found: Problem | PolicyFinding) -> int | None:
        """The line of the file that is to be looked at; None for the file as a whole."""
        if isinstance(found, PolicyFinding):
            # A document that stands in the file has lines of its own there.
            return line_of(f"{found.place}.{found.finding.place}", self.lines)
        return line_of(found.place, self.lines)

    def to_json(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
        return {
            "problems": [self._problem_json(problem) for problem in self.problems],
            "findings": [{"line": self.line_of(found), **found.to_json()} for found in self.findings],
            "unchecked": [self._problem_json(question) for question in self.unchecked],
        }

    def _problem_json(self, problem: Problem) -> dict[str, Any]:
        return {"line": self.line_of(problem), "place": problem.place, "message": problem.message}


def check_file(content: bytes, read_file: ReadFile = no_files, facts: Facts | None = None) -> CheckedFile:
    """All that is wrong with a file by itself, what lint finds in its policies, and what is not checked.

    Args:
        read_file: gives the policies that the file names by a path.
        facts: of AWS's services, for lint.
    """
    problems: Sequence[Problem] = ()
    fleet: Fleet | None
    try:
        fleet = parse_fleet(content, read_file)
    except BadFleet as bad:
        problems, fleet = bad.problems, bad.readable
    if fleet is None:
        return CheckedFile(problems, (), (), 0, lines_of(content))
    home = Home(fleet.account, fleet.region) if fleet.account and fleet.region else None
    unchecked = references_outside(fleet)
    if fleet.documents and home is None:
        unchecked.append(
            Problem("", "says no account and region, so policies were not looked at for ARNs of others")
        )
    findings = lint_policies(fleet, facts, home)
    return CheckedFile(problems, findings, unchecked, len(fleet.documents), lines_of(content))
