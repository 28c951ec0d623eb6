"""Lint of a fleet file's policies: what their author likely did not mean, before it is in force."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatchway.fleet.declarations import DeclaredDocument, Fleet
from hatchway.fleet.policy_documents import canonical_document
from hatchway.iam.lint import Facts, Finding, Home, Severity, lint_document

if TYPE_CHECKING:
    from hatchway.iam import PolicyKind


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """What lint finds in a document of the file; the finding's place is within the document.

    `in_force`: the account has such a document already, so that refusing this one would keep nothing out.
    """

    document: DeclaredDocument
    finding: Finding
    in_force: bool = False

    @property
    def place(self) -> str:
        """The document's place in the fleet file."""
        return self.document.place

    @property
    def refuses(self) -> bool:
        """Whether the document does not work, and is new."""
        return self.finding.severity is Severity.ERROR and not self.in_force

    def __str__(self) -> str:
        found = self.finding
        return f"{self.place}: {found.place}: {found.message} {found.fix} [{found.code}]"

    def to_json(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
        return {"document": self.place, **self.finding.to_json()}


def lint_policies(fleet: Fleet, facts: Facts | None, home: Home | None) -> Sequence[PolicyFinding]:
    """What lint finds in the file's documents, without mere notes, in the order of the file.

    Args:
        facts: of AWS's services, where they are at hand.
        home: the account and region that the file is for, where that is known.
    """
    # Identities by the thousand may share a document.
    linted: dict[tuple[str, PolicyKind], Sequence[Finding]] = {}
    found = []
    for document in fleet.documents:
        key = (document.text, document.kind)
        if key not in linted:
            all_of_it = lint_document(document.text, facts, kind=document.kind, home=home)
            linted[key] = [each for each in all_of_it if each.severity is not Severity.NOTE]
        found += [PolicyFinding(document, finding) for finding in linted[key]]
    return found


def with_those_in_force(
    findings: Sequence[PolicyFinding], documents: Collection[str]
) -> Sequence[PolicyFinding]:
    """The findings, told from each other by whether the account's `documents` say the same already."""
    there = set(map(canonical_document, documents))
    known = {each.document.text: canonical_document(each.document.text) in there for each in findings}
    return [PolicyFinding(each.document, each.finding, known[each.document.text]) for each in findings]
