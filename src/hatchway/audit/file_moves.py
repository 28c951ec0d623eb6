"""The event of the audit trail's going on in another file: one control plane writes it at a time, where it
runs."""

from datetime import datetime
from typing import Final

from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.local import EVENT_SOURCE
from hatchway.audit.log import to_record
from hatchway.domain.arns import Arns
from hatchway.store import Transaction

_NAME: Final = "MoveAuditFile"


def enter_move(tx: Transaction, arns: Arns, event_id: str, time: datetime, *, former: str, now: str) -> None:
    """Enters that the trail's lines stand in the file `now` from about here on, and not in `former`: each a
    host with a path."""
    source = EventSource(
        account=arns.account,
        region=arns.region,
        event_source=EVENT_SOURCE,
        request_id=event_id,
        source_ip=EVENT_SOURCE,
        user_agent=EVENT_SOURCE,
        user_identity={"type": "AWSService", "accountId": arns.account, "invokedBy": EVENT_SOURCE},
    )
    body = event(
        source,
        event_id=event_id,
        time=time,
        name=_NAME,
        read_only=False,
        request_parameters=None,
        outcome=Outcome(additional={"from": former, "to": now}),
        event_type="AwsServiceEvent",
    )
    tx.audit_records.add(to_record(body, time))
