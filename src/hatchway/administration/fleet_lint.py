"""Lint of a fleet file's policies: what they say that was hardly meant, before it is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatchway.fleet.declarations import Fleet
from hatchway.fleet.policy_documents import canonical_document
from hatchway.iam.lint import Facts, Finding, Home, Severity, lint_document
from hatchway.store import Transaction

if TYPE_CHECKING:
    from hatchway.iam import PolicyKind


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """`place` is of the document in the fleet file; the finding has its own within the document.

    `in_force`: the account has such a document already, so that refusing this one would keep nothing out.
    """

    place: str
    finding: Finding
    in_force: bool

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


def lint_policies(fleet: Fleet, tx: Transaction, facts: Facts | None) -> Sequence[PolicyFinding]:
    """What lint finds in the file's documents, mere notes apart, in the order of the file.

    Args:
        tx: of the store that the file is for.
        facts: of AWS's services, where they are at hand.
    """
    account = tx.account()
    home = Home(account.id, account.region)
    # Identities by the thousand may share a document.
    linted: dict[tuple[str, PolicyKind], Sequence[Finding]] = {}
    found = []
    for document in fleet.documents:
        key = (document.text, document.kind)
        if key not in linted:
            all_of_it = lint_document(document.text, facts, kind=document.kind, home=home)
            linted[key] = [each for each in all_of_it if each.severity is not Severity.NOTE]
        found += [(document, finding) for finding in linted[key]]
    if not found:
        return ()
    there = _documents_in_force(tx)
    known = {document.text: canonical_document(document.text) in there for document, _ in found}
    return [PolicyFinding(document.place, finding, known[document.text]) for document, finding in found]


def _documents_in_force(tx: Transaction) -> set[str]:
    texts = {version.document for version in tx.policy_versions.find()}
    texts |= {inline.document for inline in tx.inline_policies.find()}
    texts |= {role.trust_policy for role in tx.roles.find()}
    return set(map(canonical_document, texts))
