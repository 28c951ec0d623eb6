"""Whether all that was acknowledged is there when all is over."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.e2e.waiting import wait_until
from tests.ha.cluster import Cluster
from tests.ha.report import Report

from hatchway.domain.tunnel import GRACE, LEASE
from hatchway.store import Store

_BURIED = (LEASE + GRACE).total_seconds() + 30
"""Seconds after which the ends of a lost gateway's tunnels are entered."""


def look(url: str, report: Report, made: Iterable[str], carried: Mapping[str, str]) -> set[str]:
    """Whether all that was acknowledged is there, and in the trail once; the ids of all events.

    Args:
        made: the users that were acknowledged.
        carried: the requests whose tunnels carried a byte.
    """
    with closing(Store.open(url)) as store:

        def rows() -> int:
            with store.read() as tx:
                return tx.tunnels.count()

        with suppress(AssertionError):
            wait_until(lambda: not rows(), _BURIED)
        report.check(rows() == 0, f"no tunnel is open in the store ({rows()})")
        with store.read() as tx:
            users = {user.name for user in tx.users.find()}
            events: list[dict[str, Any]] = [json.loads(record.body) for record in tx.audit_records.find()]
    made = set(made)
    lost = made - users
    report.check(
        not lost,
        f"each of {len(made)} acknowledged writes is there (lost: {sorted(lost)[:5]})",
    )
    entered = Counter(
        event["requestParameters"]["userName"]
        for event in events
        if event["eventName"] == "CreateUser" and "errorCode" not in event and event["requestParameters"]
    )
    wrong = {name: entered[name] for name in users if name.startswith("made-") and entered[name] != 1}
    report.check(not wrong, f"each user that was made is in the trail once ({dict(list(wrong.items())[:5])})")
    opened = {
        event["requestID"]: event["additionalEventData"]["tunnelId"]
        for event in events
        if event["eventName"] == "OpenTunnel" and "errorCode" not in event
    }
    missing = carried.keys() - opened.keys()
    report.check(
        not missing,
        f"each of {len(carried)} openings that carried a byte is in the trail ({len(missing)} lack)",
    )
    tunnels = Counter(opened.values())
    report.check(max(tunnels.values(), default=1) == 1, "each opening is in the trail once")
    ends = Counter(
        event["additionalEventData"]["tunnelId"] for event in events if event["eventName"] == "CloseTunnel"
    )
    differing = {
        tunnel for tunnel in tunnels.keys() | ends.keys() if ends[tunnel] != 1 or tunnels[tunnel] != 1
    }
    report.check(not differing, f"each of {len(tunnels)} openings has its one end ({sorted(differing)[:5]})")
    return {event["eventID"] for event in events}


def look_at_files(directory: Path, report: Report, ids: set[str]) -> None:
    """Whether each of these events is in an audit file of the data directories there."""
    files = {path.parent.name: path for path in directory.glob("*/audit.jsonl")}

    def lines() -> dict[str, list[str]]:
        return {
            name: [json.loads(line)["eventID"] for line in path.read_text().splitlines()]
            for name, path in files.items()
        }

    with suppress(AssertionError):
        wait_until(lambda: ids <= {each for some in lines().values() for each in some}, 60)
    found = lines()
    written = Counter(each for some in found.values() for each in some)
    report.check(
        ids <= written.keys(), f"each of {len(ids)} events is in a file ({len(ids - written.keys())} lack)"
    )
    # What is recorded after the look at the store is in files alone.
    twice = {name: len(some) - len(set(some)) for name, some in found.items()}
    report.check(not any(twice.values()), f"none is twice in one file ({twice})")
    report.say(f"     {sum(count > 1 for count in written.values())} are in two files, at joins")


def look_at_programs(directory: Path, report: Report, cluster: Cluster) -> None:
    """Sees whether one has told of a fault of its own; after any problem, keeps all logs."""
    traces = [name for name, process in cluster.processes.items() if "Traceback" in process.log()]
    report.check(not traces, f"no process has told of a fault of its own ({traces})")
    if report.problems:
        kept = Path(tempfile.mkdtemp(prefix="hatchway-ha-logs-"))
        for log in (*directory.glob("*.log"), *(directory / "database").glob("log-*")):
            (kept / log.name).write_bytes(log.read_bytes())
        report.say(f"the logs are in {kept}")
