"""What the store's own commits cost: the records of tunnels' openings and ends, made durable, nothing else.

Clients come as they do in the row of openings: so many at once, each of which has an opening entered, waits
until it is on the disk and leaves; as gateways do it, its end is entered with the next opening. They come no
faster than they did there: else more of them would share a commit. There is no socket, no TLS, no request, no
decision and no log line, and the records are there before the clock starts. What gateways ask the store about
quotas is left out too: it is no record.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import uvloop
from bench.gateway import machine
from bench.gateway.installation import ACCOUNT

from hatchway.audit.group_commit import GroupCommit
from hatchway.audit.log import to_record
from hatchway.domain.ids import time_ordered_uuid
from hatchway.domain.tunnel import Tunnel
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from hatchway.domain.account import AuditRecord
    from hatchway.store import Transaction

COMMITS_SIDE: Final = "the store's commits"

_OPENED, _CLOSED = "OpenTunnel", "CloseTunnel"
_MOST_EVENTS: Final = 1000


class Events(NamedTuple):
    """What the audit trail has of one tunnel, as text: its opening and its end."""

    opened: str
    closed: str


class _Entries(NamedTuple):
    """What one tunnel has entered."""

    tunnel: Tunnel
    opened: AuditRecord
    closed: AuditRecord


def events_of_a_tunnel(store_url: str) -> Events:
    """Those of a tunnel that a gateway has opened and that has ended.

    Raises:
        LookupError: there is none.
    """
    store = Store.open(store_url)
    with store.read() as tx:
        bodies = [record.body for record in tx.audit_records.find(limit=_MOST_EVENTS)]
    store.close()
    of_tunnels: dict[str, dict[str, str]] = {}
    for body in bodies:
        event = json.loads(body)
        tunnel = (event.get("additionalEventData") or {}).get("tunnelId")
        if tunnel is not None and "errorCode" not in event:
            of_tunnels.setdefault(tunnel, {})[event["eventName"]] = body
    for found in of_tunnels.values():
        if found.keys() >= {_OPENED, _CLOSED}:
            return Events(found[_OPENED], found[_CLOSED])
    raise LookupError("no tunnel has been opened and closed")


def cpu_seconds(
    store_url: str, events: Events, count: int, *, at_once: int, pace: float, on: set[int]
) -> float:
    """Seconds of CPU of a process on these cores that has so many tunnels entered, opening and end.

    `pace` is how many tunnels begin in a second.
    """
    here, there = multiprocessing.Pipe()
    forking = multiprocessing.get_context("fork")
    process = forking.Process(
        target=_run,
        args=(there, store_url, events, count),
        kwargs={"at_once": at_once, "pace": pace, "on": on},
        daemon=True,
    )
    process.start()
    there.close()
    try:
        return float(here.recv())
    finally:
        process.kill()
        process.join()


def _run(
    answer: Connection,
    store_url: str,
    events: Events,
    count: int,
    *,
    at_once: int,
    pace: float,
    on: set[int],
) -> None:
    machine.pin(os.getpid(), on)
    store = Store.open(store_url)
    took = enter(store, events, count, at_once=at_once, pace=pace, settle=_freeze)
    store.close()
    answer.send(took)


def _freeze() -> None:
    """As gateways have it: none of what is there by now is looked at again by the garbage collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def enter(
    store: Store,
    events: Events,
    count: int,
    *,
    at_once: int,
    pace: float,
    settle: Callable[[], None] = lambda: None,
) -> float:
    """Have so many tunnels entered, opening and end, and one more for each client before the clock starts.

    Returns seconds of this process's CPU. `settle` is called when all records are there.
    """
    entries = list(_entries(events, count + at_once))
    settle()
    commits = GroupCommit(store)

    async def enter_all() -> float:
        # Statements are compiled then, and the log is open.
        for each in entries[count:]:
            await (await _enter(commits, each))
        left = iter(enumerate(entries[:count]))
        loop, cpu = asyncio.get_running_loop(), time.process_time()
        began, ends = loop.time(), []

        async def client() -> None:
            for number, each in left:
                if (early := began + number / pace - loop.time()) > 0:
                    await asyncio.sleep(early)
                ends.append(await _enter(commits, each))

        async with asyncio.TaskGroup() as clients:
            for _ in range(at_once):
                clients.create_task(client())
        await asyncio.gather(*ends)
        return time.process_time() - cpu

    try:
        return uvloop.run(enter_all())
    finally:
        commits.close()


async def _enter(commits: GroupCommit, entries: _Entries) -> asyncio.Future[None]:
    """Returns when the opening is on the disk, with what is done when the end is."""
    locks = [f"endpoint {entries.tunnel.endpoint_id}"]
    await commits.enter(_write, (entries.tunnel, entries.opened), locks=locks)
    return commits.enter(_write, (entries.tunnel.id, entries.closed), patient=True)


def _write(tx: Transaction, entered: Sequence[tuple[Tunnel | str, AuditRecord]]) -> Sequence[None]:
    """Openings have the tunnel, ends its id."""
    tx.tunnels.put_all(tunnel for tunnel, _ in entered if isinstance(tunnel, Tunnel))
    ended = [tunnel for tunnel, _ in entered if isinstance(tunnel, str)]
    if ended and len(tx.tunnels.deleting(ended)()) != len(ended):
        raise AssertionError("a tunnel was not entered")
    tx.audit_records.add_all(record for _, record in entered)
    return [None] * len(entered)


def _entries(events: Events, count: int) -> Iterator[_Entries]:
    """Like those of the tunnel, but with ids of their own, in the order of time."""
    opened, closed = json.loads(events.opened), json.loads(events.closed)
    now = datetime.now(UTC)
    template = Tunnel(
        id="",
        gateway_id=f"gw-{os.urandom(9).hex()[:17]}",
        endpoint_id=opened["requestParameters"]["instanceConnectEndpointId"],
        instance_id="i-0123456789abcdef0",
        principal_arn=opened["userIdentity"].get("arn", f"arn:aws:iam::{ACCOUNT}:root"),
        access_key_id=opened["userIdentity"].get("accessKeyId", ""),
        source_ip=opened["sourceIPAddress"],
        private_ip="127.0.0.1",
        remote_port=22,
        opened_at=now,
        expires_at=now + timedelta(hours=1),
        maker_id=opened["userIdentity"].get("principalId"),
    )
    for number in range(count):
        at = now + timedelta(milliseconds=number)
        tunnel = replace(template, id=f"tun-{os.urandom(9).hex()[:17]}", opened_at=at)
        records = []
        for event in (opened, closed):
            told = {**event, "eventID": _event_id(at), "requestID": _event_id(at)}
            told["additionalEventData"] = {**event["additionalEventData"], "tunnelId": tunnel.id}
            records.append(to_record(told, at))
        yield _Entries(tunnel, *records)


def _event_id(at: datetime) -> str:
    return time_ordered_uuid(round(at.timestamp() * 1000), os.urandom(10).hex())
