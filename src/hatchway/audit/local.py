"""Events of commands that somebody ran on the server itself, with the data directory at hand."""

import uuid
from dataclasses import dataclass
from typing import Final

from hatchway.audit.events import EventSource
from hatchway.domain.account import Account
from hatchway.domain.arns import Arns

EVENT_SOURCE: Final = "hatchway.internal"
"""The service of events that come from this program itself; no client can call it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAdministrator:
    """Who runs the command on the server: may read the store, so has the account's root powers.

    Attributes:
        os_user: the operating system's user behind it, who may have become another one, such as root, for it.
        ran_as: whose rights it ran with, when that is another.
        told_by: what says who was behind it, then.
    """

    os_user: str
    user_agent: str
    ran_as: str | None = None
    told_by: str | None = None


def local_source(account: Account, administrator: LocalAdministrator) -> EventSource:
    """The source of an event of such a command."""
    behind = {"osUser": administrator.ran_as, "userNameFrom": administrator.told_by}
    return EventSource(
        account=account.id,
        region=account.region,
        event_source=EVENT_SOURCE,
        request_id=str(uuid.uuid4()),
        source_ip=EVENT_SOURCE,
        user_agent=administrator.user_agent,
        # No name of an IAM user has a slash, so that none can be taken for the operating system's user.
        user_identity={
            "type": "Root",
            "principalId": account.id,
            "arn": Arns(account.id, account.region).root,
            "accountId": account.id,
            "userName": f"os-user/{administrator.os_user}",
            "invokedBy": EVENT_SOURCE,
            **({} if administrator.ran_as is None else behind),
        },
    )
