"""ARNs of elsewhere: a policy is in force in one account and region, and about what is there.

AWS's own policies are full of other accounts; here there is one, so what names another matches nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatchway.iam.lint.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.iam.lint.source import Linted

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")


@dataclass(frozen=True, slots=True)
class Home:
    """Where a policy is in force."""

    account: str
    region: str

    def elsewhere(self, arn: str) -> str | None:
        """The other account, or region, that an ARN's pattern names; None when it may be of here."""
        segments = arn.split(":")
        if len(segments) < 6 or segments[0] != "arn":
            return None
        region, account = segments[3:5]
        if _ACCOUNT.fullmatch(account) and account != self.account:
            return f"account {account}"
        if _REGION.fullmatch(region) and region != self.region:
            return f"region {region}"
        return None


def foreign_arns(linted: Linted, home: Home) -> Iterable[Finding]:
    """ARNs of other accounts and regions, or the whole statement when it names no others."""
    here = f"Put account {home.account} and region {home.region} there, as far as the ARN has them."
    resource = linted.statement.resource
    found = [(place, text, home.elsewhere(text)) for place, text in linted.resources()]
    if found and all(where for _, _, where in found) and resource is not None and not resource.negated:
        wheres = " and ".join(dict.fromkeys(where for _, _, where in found if where))
        yield Finding(
            "nothing-here",
            linted.place,
            f"All its resources are of {wheres}, so that nothing in account {home.account}, {home.region},"
            " is what the statement is about.",
            here,
        )
        return
    if linted.statement.principal is not None:
        found = [
            (f"{linted.place}.Principal", name, home.elsewhere(name) or _other(name, home))
            for _, name in linted.statement.principal.names
        ]
    for place, text, where in found:
        if where:
            yield Finding(
                "other-account", place, f"'{text}' is of {where}: nothing here has such an ARN.", here
            )


def _other(principal: str, home: Home) -> str | None:
    """Of a principal that is the number of an account."""
    return f"account {principal}" if _ACCOUNT.fullmatch(principal) and principal != home.account else None
