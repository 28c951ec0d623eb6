"""What has happened, for those who may look the audit trail up by the API, or have the store at hand."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hatchway.cli.client_options import CallerArguments, administration_errors, client_errors
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import OutputFormat, StoreArguments, data_directory, on_server
from hatchway.cli.printable import say
from hatchway.cli.table import table
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from hatchway.client.api.events import Event, Trail
    from hatchway.client.api.profile import Profile

    Things = Callable[[str], frozenset[str]]

_COLUMNS: Final = ("TIME", "WHO", "WHAT", "ON", "OUTCOME", "WHY")
_NARROWEST: Final = (19, 12, 16, 26, 7, 0)
"""How wide columns are at least where no row is known beforehand."""
_LONGEST: Final = 300
"""Characters of a cell; what a caller may have written is no longer."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_POLL_SECONDS: Final = 2.0
_LONGEST_WAIT: Final = 30.0
"""Seconds between two tries while the API does not answer."""
_PASSING: Final = frozenset({"", "InternalFailure", "ServiceUnavailable", "ThrottlingException"})
"""Codes of an API that will answer again; the first, of one that does not answer at all."""
_MOST_TOLD: Final = 3
"""Resources of an event in a line."""
_ID: Final = re.compile(r"(eice|eni|i|sgr?|subnet|tun|vpc)-[0-9A-Za-z_]{1,64}", re.ASCII)


class Verdict(StrEnum):
    """How it ended: refused by policies or by the network, failed for another reason, or well."""

    DENIED = "denied"
    FAILED = "failed"
    OK = "ok"


def register(app: typer.Typer) -> None:
    app.command("events")(events)


@with_option_groups
def events(
    *,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME|ARN", help="Only events of this user, or of 'root'."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            "--instance",
            metavar="NAME|ADDRESS|ID",
            help="Only events about this host, or about the endpoint or other resource with this id.",
        ),
    ] = None,
    outcome: Annotated[
        Verdict | None,
        typer.Option("--outcome", metavar="denied|failed|ok", help="Only events with this outcome."),
    ] = None,
    since: Annotated[
        str,
        typer.Option("--since", metavar="SPAN|TIME", help="Only events since then: 30m, 2h, 7d, or a time."),
    ] = "1h",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="Only this many, the newest.")
    ] = 1000,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep running and print new events as they happen.")
    ] = False,
    output: Annotated[
        OutputFormat,
        typer.Option("--output", metavar="text|json", help="Text for people, or one JSON object a line."),
    ] = OutputFormat.TEXT,
    store: StoreArguments,
    caller: CallerArguments,
) -> None:
    """Show the audit trail: who did what, and with which result.

    Prints calls and tunnels, oldest first, times in UTC. Calls the API, which needs the permission
    cloudtrail:LookupEvents, and for a host's name ec2:DescribeInstances; with --data-dir it reads the store,
    on the server. With --follow it looks every two seconds.

    \b
    Examples:
      hatchway events --user alice --since 2h
      hatchway events --host web-1 --outcome denied --follow
      hatchway events --since 2026-11-24T06:00:00Z --output json
      hatchway events --data-dir /var/lib/hatchway
    """
    now = datetime.now(UTC)
    start = _start(since, now)
    lines = _json_lines if output is OutputFormat.JSON else partial(_lines, follow=follow)
    with _asked(store, caller) as (client, things):
        trail = _trail(client, things, user, host, outcome)
        found, more = trail.newest(now, start, limit)
        if more:
            say(f"only the newest {limit}: --limit or --since says otherwise", err=True)
        _echo(lines(found))
        if follow:
            _follow(trail, _json_lines if output is OutputFormat.JSON else _more_lines)


@contextmanager
def _asked(store: StoreArguments, caller: CallerArguments) -> "Iterator[tuple[Any, Things]]":
    """What looks events up, and what tells which things an event about a host names."""
    if on_server(store, caller):
        from hatchway.installation.installation import open_installation
        from hatchway.policies.store_trail import StoredTrail, hosts_called

        with open_installation(data_directory(store.data_dir), store.store_url) as installation:
            yield (
                StoredTrail(installation.store),
                partial(_things_of_store, partial(hosts_called, installation.store)),
            )
        return
    from hatchway.client.api.profile import Profile

    with administration_errors():
        profile = Profile(caller.options())
        yield profile.api("cloudtrail"), partial(_things, profile)


def _things_of_store(hosts_called: "Things", host: str) -> frozenset[str]:
    from hatchway.client.discovery.hosts import names_a_host
    from hatchway.domain.addresses import parse_address

    if _ID.fullmatch(host):
        return frozenset({host})
    return hosts_called(host) if names_a_host(host) else frozenset({str(parse_address(host))})


def _trail(
    client: Any, things_of: "Things", user: str | None, host: str | None, verdict: Verdict | None
) -> "Trail":
    from hatchway.audit.terms import resources_of, user_name_of
    from hatchway.client.api.events import Sought, Trail
    from hatchway.policies.events import read_listed

    arn = user if user is not None and user.startswith("arn:") else None
    name = user if user is None or arn is None else re.split("[:/]", user)[-1]
    things = frozenset() if host is None else things_of(host)

    def also(event: "Event") -> bool:
        if arn is not None and event["userIdentity"].get("arn") != arn:
            return False
        if name is not None and user_name_of(event) != name:
            return False
        if host is not None:
            names = {resource.name for resource in resources_of(event)}
            if things.isdisjoint({*names, _parameters(event).get("privateIpAddress")}):
                return False
        return verdict is None or read_listed(event).verdict == verdict.value

    ids = [each for each in things if _ID.fullmatch(each)]
    resource = ids[0] if len(things) == len(ids) == 1 else None
    return Trail(client, Sought(user=name, resource=resource, also=also))


def _things(profile: "Profile", host: str) -> frozenset[str]:
    """What events about a host name: its id, or its address where that is all that is known."""
    from hatchway.client.api.ids import is_whole, whole_id
    from hatchway.client.discovery.hosts import (
        NoSuchHost,
        describe_hosts,
        identify_host,
        literal,
        names_a_host,
    )
    from hatchway.client.errors import NotFound
    from hatchway.domain.addresses import parse_address

    if _ID.fullmatch(host):
        if is_whole(host):
            return frozenset({host})
        ec2 = profile.api("ec2")
        try:
            return frozenset({identify_host(ec2, host) if host.startswith("i-") else whole_id(ec2, host)})
        except NoSuchHost:
            # Of one that is no more there are events too.
            return frozenset({host})
    if not names_a_host(host):
        return frozenset({str(parse_address(host))})
    found = describe_hosts(profile.api("ec2"), [("tag:Name", [literal(host)])])
    if not found:
        raise NotFound(
            f"there is no host {host!r} that you may see: 'hatchway hosts' lists them, each by its tag Name"
        )
    return frozenset(each.instance_id for each in found)


def _follow(trail: "Trail", lines: "Callable[[Sequence[Event]], Iterator[str]]") -> None:
    """Asks again and again. While the API does not answer, it goes on asking: a server that is restarted is
    back soon."""
    from hatchway.client.errors import ApiError

    waiting = _POLL_SECONDS
    while True:
        time.sleep(waiting)
        try:
            with client_errors():
                found = trail.new(datetime.now(UTC))
        except Exception as problem:
            # What it has been refused, it is refused again.
            cause = problem.__cause__ if isinstance(problem.__cause__, ApiError) else problem
            if not isinstance(cause, ApiError) or cause.code not in _PASSING:
                raise
            if waiting == _POLL_SECONDS:
                say(f"hatchway: {cause}; trying again", err=True)
            waiting = min(2 * waiting, _LONGEST_WAIT)
            continue
        waiting = _POLL_SECONDS
        _echo(lines(found))


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)
    sys.stdout.flush()


def _json_lines(events: "Sequence[Event]") -> Iterator[str]:
    import json

    return map(json.dumps, events)


def _lines(events: "Sequence[Event]", *, follow: bool) -> Iterator[str]:
    rows = [_COLUMNS, *map(_row, events)]
    if follow:
        return map(_narrow, rows)
    return iter(table(rows))


def _more_lines(events: "Sequence[Event]") -> Iterator[str]:
    return map(_narrow, map(_row, events))


def _narrow(row: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, _NARROWEST, strict=True)).rstrip()


def _row(event: "Event") -> tuple[str, ...]:
    from hatchway.audit.terms import user_name_of
    from hatchway.cli.printable import printable
    from hatchway.client.api.events import time_of
    from hatchway.policies.events import read_listed

    identity = event["userIdentity"]
    explained = read_listed(event)
    cells = (
        f"{time_of(event):%Y-%m-%d %H:%M:%S}",
        user_name_of(event) or f"? {identity.get('accessKeyId') or event['sourceIPAddress']}",
        event["eventName"],
        _about(event),
        explained.verdict,
        explained.reason,
    )
    # Whatever callers have written, a terminal gets text.
    return tuple(printable(str(cell)[:_LONGEST]) for cell in cells)


def _about(event: "Event") -> str:
    """What it is about: where a tunnel leads, else the resources."""
    from hatchway.audit.terms import resources_of

    resources = resources_of(event)
    asked = _parameters(event)
    address, port = asked.get("privateIpAddress"), asked.get("remotePort")
    if address and port:
        instance = next((each.name for each in resources if each.type == "AWS::EC2::Instance"), address)
        return f"{instance}:{port} by {asked.get('instanceConnectEndpointId')}"
    names = [each.name for each in resources]
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return ", ".join(names[:_MOST_TOLD]) + more


def _parameters(event: "Event") -> "Mapping[str, Any]":
    asked = event.get("requestParameters")
    return asked if isinstance(asked, dict) else {}


def _start(text: str, now: datetime) -> datetime:
    """
    Raises:
        BadUsage: it is neither a span of time nor a time.
    """
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadUsage(
            f"--since {text!r}: give a span such as 30m, 2h or 7d, or a time such as 2026-11-24T06:00:00Z"
        ) from None
