"""The audit trail of what is done on the server itself, beside the API."""

import os
import pwd
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hatchway import __version__
from hatchway.audit.events import Outcome, event
from hatchway.audit.local import LocalAdministrator, local_source
from hatchway.audit.log import to_record
from hatchway.domain.account import Account
from hatchway.domain.arns import Arns
from hatchway.domain.identity import AccessKey
from hatchway.store import Transaction


def administrator() -> LocalAdministrator:
    """Whoever runs this command."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return LocalAdministrator(os_user=name, user_agent=f"hatchway/{__version__}")


def record(
    tx: Transaction,
    account: Account,
    now: datetime,
    name: str,
    *,
    parameters: Mapping[str, Any],
    answer: Mapping[str, Any],
    resources: tuple[tuple[str, str], ...] = (),
) -> None:
    """Enters an event of this command."""
    body = event(
        local_source(account, administrator()),
        event_id=str(uuid.uuid4()),
        time=now,
        name=name,
        read_only=False,
        request_parameters=parameters,
        outcome=Outcome(response_elements=answer),
        resources=resources,
    )
    tx.audit_records.add(to_record(body, now))


def record_access_key(tx: Transaction, account: Account, key: AccessKey, now: datetime) -> None:
    """Enters that this command has made an access key, as IAM's CreateAccessKey would."""
    whose = {} if key.user_name is None else {"userName": key.user_name}
    arns = Arns(account.id, account.region)
    record(
        tx,
        account,
        now,
        "CreateAccessKey",
        parameters=whose,
        answer={"accessKey": {**whose, "accessKeyId": key.id, "status": key.status.value}},
        resources=() if key.user_name is None else ((arns.user(key.user_name), "AWS::IAM::User"),),
    )
