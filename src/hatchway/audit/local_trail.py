"""The audit trail of what is done on the server itself, beside the API."""

import os
import pwd
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hatchway import __version__
from hatchway.audit.events import Outcome, event
from hatchway.audit.local import LocalAdministrator, local_source
from hatchway.audit.log import to_record
from hatchway.domain.account import Account
from hatchway.domain.arns import Arns
from hatchway.domain.identity import AccessKey
from hatchway.store import Transaction

_LOGIN_UID: Final = Path("/proc/self/loginuid")
_NO_LOGIN: Final = 2**32 - 1
_LONGEST_NAME: Final = 256
"""Of a user (POSIX: LOGIN_NAME_MAX)."""
_ELEVATED_FROM: Final = ("SUDO_USER", "DOAS_USER")
"""What sudo(8), run0(1) and doas(1) say of who ran them."""


def user_name(uid: int) -> str:
    """The name of an operating system's user, or its number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def administrator(
    environment: Mapping[str, str] = os.environ, login_uid: Path = _LOGIN_UID
) -> LocalAdministrator:
    """Whoever runs this command, and who was behind it before sudo or su.

    The kernel knows who logged in and lets no command change that; where it does not, in a container or
    under cron, it is what sudo has said.
    """
    own = user_name(os.getuid())
    agent = f"hatchway/{__version__}"
    behind, told_by = _logged_in(login_uid), "loginuid"
    if behind is None:
        variable = next((name for name in _ELEVATED_FROM if environment.get(name)), None)
        behind, told_by = (environment[variable], variable) if variable is not None else (own, "")
    if behind == own:
        return LocalAdministrator(os_user=own, user_agent=agent)
    return LocalAdministrator(os_user=behind[:_LONGEST_NAME], user_agent=agent, ran_as=own, told_by=told_by)


def _logged_in(login_uid: Path) -> str | None:
    """Who logged in, if anybody did that this system knows."""
    try:
        uid = int(login_uid.read_text(encoding="ascii"))
        return None if uid == _NO_LOGIN else pwd.getpwuid(uid).pw_name
    except (OSError, ValueError, KeyError, OverflowError):
        return None


def record(
    tx: Transaction,
    account: Account,
    now: datetime,
    name: str,
    *,
    parameters: Mapping[str, Any],
    answer: Mapping[str, Any],
    resources: tuple[tuple[str, str], ...] = (),
    failure: Outcome | None = None,
) -> None:
    """Enters an event of this command: what it has answered with, or the failure that it ended with."""
    body = event(
        local_source(account, administrator()),
        event_id=str(uuid.uuid4()),
        time=now,
        name=name,
        read_only=False,
        request_parameters=parameters,
        outcome=Outcome(response_elements=answer) if failure is None else failure,
        resources=resources,
    )
    tx.audit_records.add(to_record(body, now))


def record_access_key(
    tx: Transaction, account: Account, key: AccessKey, now: datetime, *, name: str, **more: str
) -> None:
    """Enters what this command has done to an access key, as IAM's own operation `name` would."""
    whose = {} if key.user_name is None else {"userName": key.user_name}
    parameters = {**whose, "accessKeyId": key.id, **more}
    record(tx, account, now, name, parameters=parameters, answer={}, resources=_owner(account, key))


def record_new_access_key(tx: Transaction, account: Account, key: AccessKey, now: datetime) -> None:
    """Enters that this command has made an access key, as IAM's CreateAccessKey would."""
    whose = {} if key.user_name is None else {"userName": key.user_name}
    record(
        tx,
        account,
        now,
        "CreateAccessKey",
        parameters=whose,
        answer={"accessKey": {**whose, "accessKeyId": key.id, "status": key.status.value}},
        resources=_owner(account, key),
    )


def _owner(account: Account, key: AccessKey) -> tuple[tuple[str, str], ...]:
    if key.user_name is None:
        return ()
    return ((Arns(account.id, account.region).user(key.user_name), "AWS::IAM::User"),)
