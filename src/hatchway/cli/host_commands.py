"""`hatchway hosts`, and the completion of hosts' names on command lines."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import Json, Output, OutputFormat
from hatchway.cli.printable import say
from hatchway.cli.table import table
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatchway.client.discovery.hosts import Filter, Host

_COLUMNS: Final = ("NAME", "ID", "ADDRESS", "STATE", "ENDPOINT", "TAGS")
_NOTHING: Final = "-"
_PROMPT_TIMEOUT: Final = 2.0
"""Seconds that somebody who presses Tab waits for a connection, and for an answer."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def register(app: typer.Typer) -> None:
    app.command("hosts")(hosts)


def complete_hosts(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Running hosts by their names, or by their ids where a name is none's alone, each with its address.

    A shell evaluates what it is given here, so only such words are given as no shell finds anything in.
    Whatever goes wrong, there is nothing to complete: a prompt is no place for an error.
    """
    words = context.params.get("words") or ()
    if any(not word.startswith("-") for word in words):
        return
    try:
        from hatchway.client.api.profile import Profile
        from hatchway.client.discovery.hosts import RUNNING, describe_hosts, names_a_host

        given = {field.name: context.params.get(field.name) for field in fields(CallerArguments)}
        ec2 = Profile(CallerArguments(**given).options()).api_client_for(_PROMPT_TIMEOUT)
        found = describe_hosts(ec2, [("instance-state-name", [RUNNING])])
    except Exception:
        # Somebody is typing: the command itself will say what is wrong.
        return
    user, at, _ = incomplete.rpartition("@")
    times = Counter(host.name for host in found)
    for host in found:
        called = times[host.name] == 1 and _PLAIN.fullmatch(host.name) and names_a_host(host.name)
        word = host.name if called else host.instance_id
        if _PLAIN.fullmatch(word):
            yield f"{user}{at}{word}", " ".join(host.addresses[:1])


@with_option_groups
def hosts(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Only hosts with this name; * and ? are wildcards.",
            autocompletion=complete_hosts,
        ),
    ] = None,
    *,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Only hosts with this tag; * and ? are wildcards; repeatable."
        ),
    ] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME=VALUE[,VALUE]",
            help="A filter of EC2's DescribeInstances, such as vpc-id; repeatable.",
        ),
    ] = None,
    output: Output = OutputFormat.TEXT,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """List the hosts you may see, and the endpoint for each.

    Needs the permissions ec2:DescribeInstances and, for the endpoints, ec2:DescribeInstanceConnectEndpoints.
    A host in the list is not necessarily one that you may connect to.

    \b
    Examples:
      hatchway hosts
      hatchway hosts 'web-*' --tag env=prod
      hatchway hosts --filter instance-state-name=running --output json
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.host_list import list_hosts

    filters: list[Filter] = [] if name is None else [("tag:Name", [name])]
    filters += [(f"tag:{key}", [value]) for key, value in map(_pair("--tag"), tag or ())]
    filters += [(key, value.split(",")) for key, value in map(_pair("--filter"), filter_ or ())]
    with client_errors():
        found = list_hosts(Profile(caller.options()), filters)
    if json or output is OutputFormat.JSON:
        import json as json_format

        say(json_format.dumps({"hosts": [_document(*each) for each in found.hosts]}))
    else:
        for line in table([_COLUMNS, *(_row(*each) for each in found.hosts)]):
            say(line)
    if found.endpoints_unseen is not None:
        say(f"hatchway: endpoints cannot be told: {found.endpoints_unseen}", err=True)


def _pair(option: str) -> "Callable[[str], tuple[str, str]]":
    def read(text: str) -> tuple[str, str]:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise BadUsage(f"{option} {text!r} is not KEY=VALUE")
        return key, value

    return read


def _row(host: "Host", endpoint_id: str | None) -> tuple[str, ...]:
    from hatchway.client.errors import printable

    tags = [f"{key}={value}" for key, value in sorted(host.tags.items()) if key != "Name"]
    cells = (
        host.name,
        host.instance_id,
        " ".join(host.addresses),
        host.state,
        endpoint_id or "",
        ",".join(tags),
    )
    return tuple(printable(cell) or _NOTHING for cell in cells)


def _document(host: "Host", endpoint_id: str | None) -> "Mapping[str, Any]":
    return {
        "instance_id": host.instance_id,
        "name": host.name or None,
        "state": host.state,
        "addresses": host.addresses,
        "vpc_id": host.vpc_id or None,
        "subnet_id": host.subnet_id or None,
        "tags": host.tags,
        "endpoint_id": endpoint_id,
    }
