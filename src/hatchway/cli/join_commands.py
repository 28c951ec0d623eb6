"""`hatchway join`: this machine becomes a control plane or a gateway of an installation."""

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hatchway.cli.options import DataDir, Json, data_directory
from hatchway.cli.printable import say
from hatchway.errors import BadUsage, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hatchway.domain.machine import Role
    from hatchway.installation.joined import Joined
    from hatchway.machines.joining import JoinResult
    from hatchway.settings import DataDirectory

_LONGEST_TOKEN: Final = 512
_MOST_TOLD: Final = 50


def register(app: typer.Typer) -> None:
    app.command("join")(join)


def join(
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN",
            help="The token that 'hatchway join-token create' printed; '-' reads it from standard input.",
        ),
    ],
    *,
    api_url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="The API's URL as seen from here. May be repeated.",
            show_default="with --again, where it was",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another host name or address for the control plane's certificate, besides this"
            " machine's own. May be repeated.",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="On a machine that has joined before: replace its files with what the API provides.",
        ),
    ] = False,
    data_dir: DataDir = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The user who is to own the files, when run as root.",
            show_default="the owner of the directory, else 'hatchway' if there is such a user",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Join an installation as a control plane or a gateway.

    Creates the data directory from what the API of the existing installation provides for the token: keys,
    the store's URL, and a certificate whose key never leaves this machine. A gateway does not get the master
    key; no machine gets the CA's. The server started here keeps all this up to date.

    If it was interrupted, run it again with the same token before that expires. With --again, a machine that
    was removed, or was away while keys or the CA were replaced, joins again; its audit.jsonl stays.

    \b
    Example:
      hatchway join --api-url https://hatchway.example:8443 --data-dir /var/lib/hatchway -
    """
    from hatchway.machines import joining

    directory = data_directory(data_dir)
    if token == "-":  # noqa: S105 - what stands for standard input
        token = sys.stdin.readline(_LONGEST_TOKEN)
    names = tuple(each.lower() for each in name or ())
    former = _former(directory, again=again)
    result = None if former is None or again else _gone_on(directory, former, token)
    urls = api_url or (former.api_urls if former is not None else ())
    if not urls:
        raise BadUsage("give --api-url, where the API is: 'hatchway join-token create' has printed it")
    if former is not None and again and user is not None:
        raise BadUsage("--user is for a new directory: with --again the files become its owner's")
    try:
        result = result or joining.join(
            directory, token, urls, names, _owner(directory.path, user), former=former
        )
    except (KeyboardInterrupt, SystemExit):
        if os.path.lexists(directory.unfinished_join):
            say(f"hatchway: interrupted, nothing is in place: {joining.GO_ON}", err=True)
        raise
    joined = result.machine
    problem = _store_problem(result.store_url)
    if json:
        import json as json_format

        answer = {
            "machine_id": joined.machine_id,
            "role": joined.role.value,
            "names": result.names,
            "beyond": result.beyond,
            "certificate": result.certified,
            "finished": result.finished,
            "vpcs": joined.vpcs,
            "endpoints": joined.endpoints,
            "store_problem": problem,
        }
        say(json_format.dumps(answer))
        return
    say(f"{directory.path} now belongs to {joined.machine_id}, a {_called(joined.role)}")
    _tell_names(result)
    if joined.vpcs:
        say(f"VPCs: {', '.join(joined.vpcs)}")
    if joined.endpoints:
        say(f"Endpoints: {', '.join(joined.endpoints)}")
    if problem is not None:
        say(f"hatchway: warning: the store cannot be used from here: {problem}", err=True)
    if not result.finished:
        say(
            "hatchway: warning: could not tell the API that this machine has joined: start the server"
            " within a day, or this machine is removed again",
            err=True,
        )
    restart = ", or restart it if it is running" if again else ""
    say(f"Next: hatchway {joined.role.value} --data-dir {shlex.quote(str(directory.path))}{restart}")


def _former(directory: "DataDirectory", *, again: bool) -> "Joined | None":
    """What the directory's machine is known as; None for a directory yet to be made.

    Raises:
        CommandFailed: that is to end, and it is none.
    """
    from hatchway.failures import failures
    from hatchway.installation.joined import Joined

    with failures():
        former = Joined.read(directory)
    if former is None and again:
        raise CommandFailed(f"{directory.path} does not belong to a machine that joined: leave out --again")
    return former


def _gone_on(directory: "DataDirectory", joined: "Joined", token: str) -> "JoinResult":
    """What a joining has come to that was killed at its end.

    Raises:
        CommandFailed: none was: it is a machine's that has joined.
    """
    from hatchway.failures import failures
    from hatchway.machines.joining import resume_join

    with failures():
        result = resume_join(directory, joined, token)
    if result is None:
        raise CommandFailed(
            f"{directory.path} already belongs to {joined.machine_id}: start its server, or let it join"
            " again with --again"
        )
    return result


def _tell_names(result: "JoinResult") -> None:
    if result.certified:
        say(f"Certificate: for {_some(result.names)}")
    elif result.names:
        say("Certificate: not issued yet; the server gets it from the control plane that has the CA's key")
    if result.beyond:
        say(
            f"Not for {_some(result.beyond)}: the private CA may not issue certificates for that. Create a"
            " CA that may (hatchway ca rotate --step add --name), or use another name for this machine"
        )
    if result.left_out:
        from hatchway.domain.counting import counted
        from hatchway.pki.alternative_names import TOO_MANY_NAMES

        say(f"Without {counted(result.left_out, 'name')}: {TOO_MANY_NAMES}")


def _some(names: "Sequence[str]") -> str:
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return f"{', '.join(names[:_MOST_TOLD])}{more}"


def _called(role: "Role") -> str:
    return {"control": "control plane", "gateway": "gateway"}[role.value]


def _owner(path: "Path", user: str | None) -> tuple[int, int] | None:
    "The user who is to own the files, when run as root."
    import os
    import pwd

    if os.geteuid() != 0:
        if user is not None:
            raise BadUsage("--user: only root can give files away")
        return None
    if user is None and path.exists():
        status = path.stat()
        return status.st_uid, status.st_gid
    try:
        entry = pwd.getpwnam(user or "hatchway")
    except KeyError:
        if user is not None:
            raise BadUsage(f"--user {user!r}: there is no such user") from None
        return None
    return entry.pw_uid, entry.pw_gid


def _store_problem(url: str) -> str | None:
    """Why the store cannot be used from here; None where it can."""
    from contextlib import closing

    from hatchway.failures import failures
    from hatchway.store import Store

    try:
        with failures(url), closing(Store.open(url)) as store:
            store.check_schema()
    except CommandFailed as problem:
        return str(problem)
    return None
