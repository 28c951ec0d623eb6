"""Users and roles in trust policies: that they are there, and when they get another name or are gone.

AWS keeps whom a trust policy names by unique id: of a user who is deleted it shows the id where the ARN was,
and another of the same name is not trusted (AWS IAM User Guide, "AWS JSON policy elements: Principal"). Here
trust policies are kept as they were written, so they are written anew when the name in one comes to mean
another.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import or_

from hatchway.access.stored_policies import is_readable_trust_policy
from hatchway.domain.arns import Arns
from hatchway.domain.identity import Role, User
from hatchway.protocol import ServiceError
from hatchway.store import Transaction, tables

_AWS = "AWS"
_UNIQUE_ID = re.compile(r"(?:AIDA|AROA)[A-Z0-9]+(?::.+)?")
_POLICY = tables.roles.c.trust_policy
_LIKE_SPECIAL = re.compile("[%_/]")
_WILDCARD = re.compile("[*?]")


def require_known(tx: Transaction, arns: Arns, document: str, former: str | None = None) -> None:
    """Refuses a trust policy with a user, role or session of this account that is not there.

    It would name nobody, and later perhaps somebody whom its writer did not know. What the `former` policy
    of the role names already may stay: a policy that is shown can be given back. Who is of another account
    is unknown here, and not refused.

    Raises:
        ServiceError: in AWS's words.
    """
    before = set() if former is None or not is_readable_trust_policy(former) else _names(former)
    for name in sorted(_names(document) - before):
        if _is_unknown(tx, arns, name):
            raise ServiceError("MalformedPolicyDocument", f'Invalid principal in policy: "{_AWS}":"{name}"')


def _names(document: str) -> set[str]:
    found: set[str] = set()
    for principal in _principals(json.loads(document)):
        given = principal[_AWS]
        found |= {given} if isinstance(given, str) else set(given)
    return found


def _is_unknown(tx: Transaction, arns: Arns, name: str) -> bool:
    if _UNIQUE_ID.fullmatch(name):
        return True
    own = re.fullmatch(rf"arn:[a-z-]+:(?:iam|sts)::{arns.account}:(user|role|assumed-role)/(.+)", name)
    if own is None:
        return False
    kind, rest = own.groups()
    if kind == "assumed-role":
        return tx.roles.get(rest.partition("/")[0]) is None
    last = rest.rpartition("/")[2]
    if kind == "user":
        user = tx.users.get(last)
        return user is None or arns.user(user.name, user.path) != name
    role = tx.roles.get(last)
    return role is None or arns.role(role.name, role.path) != name


def forget_principal(tx: Transaction, arns: Arns, gone: User | Role) -> None:
    """Has no trust policy name a user or role that is deleted: its unique id stands there, which names
    nobody."""
    _rewrite(tx, gone.name, _renamed(arns, gone, gone.id))


def rename_principal(tx: Transaction, arns: Arns, before: User, name: str, path: str) -> None:
    """Has the trust policies that name a user name it by its new ARN, and nobody by the old one.

    A path may have wildcards, and a name in a trust policy none: with one, nobody could assume the role any
    more. So the user's unique id stands there then, as of one that is gone.
    """
    name_now = before.id if _WILDCARD.search(path) else arns.user(name, path)
    _rewrite(tx, before.name, _renamed(arns, before, name_now))


def _renamed(arns: Arns, principal: User | Role, name_now: str) -> Callable[[str], str]:
    """What becomes of a name in a trust policy. With another path or case it names nobody, now or later."""
    if isinstance(principal, User):
        arn, kind, session = arns.user(principal.name, principal.path), "user", None
    else:
        arn, kind = arns.role(principal.name, principal.path), "role"
        session = re.compile(re.escape(arns.assumed_role(principal.name, "")) + "(.+)", re.IGNORECASE)
    named = re.compile(
        rf"arn:[a-z-]+:iam::{arns.account}:{kind}/(?:.+/)?{re.escape(principal.name)}", re.IGNORECASE
    )

    def renamed(name: str) -> str:
        if name == arn:
            return name_now
        if named.fullmatch(name):
            return principal.id
        found = session and session.fullmatch(name)
        return f"{principal.id}:{found[1]}" if found else name

    return renamed


def foresee(tx: Transaction, name: str) -> None:
    """Reads the trust policies that may name a user or role, so that they are known when they are written:
    reading a thousand takes a second or two, in which nobody else could write."""
    for role in _may_name(tx, name):
        is_readable_trust_policy(role.trust_policy)


def _may_name(tx: Transaction, name: str) -> list[Role]:
    return tx.roles.find(
        or_(
            _POLICY.icontains(_LIKE_SPECIAL.sub(r"/\g<0>", name), escape="/"),
            # JSON may write any character as an escape.
            _POLICY.contains("\\", autoescape=True),
        )
    )


def _rewrite(tx: Transaction, name: str, renamed: Callable[[str], str]) -> None:
    # Written together: a statement for each would hold PostgreSQL's write lock for a second.
    changed = []
    for role in _may_name(tx, name):
        if not is_readable_trust_policy(role.trust_policy):
            # It cannot be read, and trusts nobody.
            continue
        document = json.loads(role.trust_policy)
        if _rename_in(document, renamed):
            changed.append(replace(role, trust_policy=json.dumps(document, ensure_ascii=False)))
    tx.roles.put_all(changed)


def _rename_in(document: Any, renamed: Callable[[str], str]) -> bool:
    """Changes the names in a document; whether there was one to change."""
    changed = False
    for principal in _principals(document):
        given = principal[_AWS]
        names = [given] if isinstance(given, str) else given
        now = [renamed(name) for name in names]
        if now != names:
            principal[_AWS] = now[0] if isinstance(given, str) else now
            changed = True
    return changed


def _principals(document: Any) -> list[dict[str, Any]]:
    """The `Principal` elements that name something of AWS's."""
    statements = document["Statement"]
    principals = [
        statement["Principal"] for statement in (statements if isinstance(statements, list) else [statements])
    ]
    return [each for each in principals if isinstance(each, dict) and _AWS in each]
