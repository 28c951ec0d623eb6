"""Policies as the store has them, for enforcement and for simulation alike.

The store may hold what can no longer be read: it was written before the language was read more strictly, or
by another hand. Such a policy may have been a Deny, a boundary or a guardrail, and so may one that is gone:
in its place everything is denied, and the name under which decisions tell of it says why.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from hatchway.access.parsed_policies import ParsedPolicies
from hatchway.iam import MalformedPolicy, Policy, PolicyKind, parse_policy

_NOTHING: Final = parse_policy(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)
TRUSTS_NOBODY: Final = Policy(
    name="(there is no such role)", kind=PolicyKind.TRUST, version="2012-10-17", statements=(), document="{}"
)
"""What stands for the trust policy of a role that is not there."""
_LONGEST_PROBLEM: Final = 300
_MOST_CHARACTERS: Final = 2_000_000
"""Of policies that are kept parsed: up to 100 MB, for over a thousand usual ones or 300 of the longest."""
_MOST_TRUST_CHARACTERS: Final = 1_000_000


def _policy(document: str, name: str) -> Policy:
    try:
        return parse_policy(document, name=name)
    except MalformedPolicy as problem:
        return replace(_NOTHING, name=f"{name} (cannot be read: {str(problem)[:_LONGEST_PROBLEM]})")


def _trust_policy(document: str, name: str) -> Policy:
    try:
        return parse_policy(document, name=name, kind=PolicyKind.TRUST)
    except MalformedPolicy as problem:
        return replace(TRUSTS_NOBODY, name=f"{name} (cannot be read: {str(problem)[:_LONGEST_PROBLEM]})")


stored_policy: Final = ParsedPolicies(_policy, _MOST_CHARACTERS)
"""The policy of a document and a name; one that denies everything when the document cannot be read."""
stored_trust_policy: Final = ParsedPolicies(_trust_policy, _MOST_TRUST_CHARACTERS)
"""The trust policy of a document and a name; one that trusts nobody when the document cannot be read."""


@lru_cache(maxsize=2048)
def is_readable_trust_policy(document: str) -> bool:
    """Whether this trust policy can be read, and trusts somebody.

    Of the thousand that an account may have this alone is kept: a policy of many patterns takes 200 KB.
    """
    try:
        return bool(parse_policy(document, name="", kind=PolicyKind.TRUST).statements)
    except MalformedPolicy:
        return False


def missing_policy(arn: str) -> Policy:
    """What stands for a policy that is attached, but is not there."""
    return replace(_NOTHING, name=f"{arn} (is not there)")
