"""Lint: what a policy says that its author likely did not mean.

    from hatchway.iam.lint import lint_document

    for finding in lint_document(text):
        print(finding.severity, finding.code, finding.place, finding.message, finding.fix)

Findings are data (`Finding`, whose codes `KINDS` lists). Some checks need to know AWS's services: they are
made when `facts` are given, from wherever the caller has them.

| module | holds |
|---|---|
| `findings` | what is found, as data, and every kind of it |
| `source` | a statement under lint, with the places of its parts |
| `rules` | the checks that need to know no service |
| `facts`, `reference` | what is to be known of the services, and the checks that need it |
| `presence` | condition keys that no request carries, or every one with the same value |
| `home` | ARNs of another account or region |
| `overlaps`, `globs` | statements that add nothing; what one pattern matches of what another does |
| `render` | findings as text, JSON and SARIF |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchway.iam.documents import PolicyKind, parse_policy
from hatchway.iam.errors import MalformedPolicy
from hatchway.iam.lint.facts import ActionFacts, Facts, ResourceTypeFacts, ServiceFacts
from hatchway.iam.lint.findings import KINDS, Finding, Severity
from hatchway.iam.lint.home import Home, foreign_arns
from hatchway.iam.lint.overlaps import overlaps
from hatchway.iam.lint.presence import presence
from hatchway.iam.lint.reference import check
from hatchway.iam.lint.rules import RULES
from hatchway.iam.lint.source import statements_of

if TYPE_CHECKING:
    from hatchway.iam.documents import Policy

__all__ = [
    "KINDS",
    "ActionFacts",
    "Facts",
    "Finding",
    "Home",
    "ResourceTypeFacts",
    "ServiceFacts",
    "Severity",
    "lint",
    "lint_document",
]


def lint(policy: Policy, facts: Facts | None = None, home: Home | None = None) -> tuple[Finding, ...]:
    """All findings about a policy, statement by statement. `home` is where it is to be in force, if known."""
    statements = statements_of(policy)
    found: list[Finding] = []
    needless = list(overlaps(statements))
    for linted in statements:
        for rule in (*RULES, presence):
            found += rule(linted)
        if facts is not None:
            found += check(linted, facts)
        if home is not None:
            found += foreign_arns(linted, home)
        found += (finding for finding in needless if finding.place == linted.place)
    return tuple(found)


def lint_document(
    text: str | bytes,
    facts: Facts | None = None,
    *,
    kind: PolicyKind = PolicyKind.IDENTITY,
    home: Home | None = None,
) -> tuple[Finding, ...]:
    """The same for a document that may be no policy at all, which is a finding too."""
    try:
        policy = parse_policy(text, kind=kind)
    except MalformedPolicy as error:
        fix = "Correct the document there."
        return (Finding("malformed-policy", error.place, f"{error.problem}.", fix),)
    return lint(policy, facts, home)
