"""`hatchway join`: a data directory for a control plane or a gateway on a machine of its own.

It is made of what the API gives to whoever has a join token, and kept up afterwards by the machine's own
(`following`). What this leaves:

    machine.json   who it is: its token, its key, where the API is
    store.url      the store's URL
    gateway.key    and, for a control plane alone, master.key
    ca.pem         the CAs that clients trust; server.pem, the certificate, whose key never leaves

The machine's key is on the disk before the API is asked, in `.unfinished-join`: a joining that is
interrupted, wherever, goes on by the same command as the same machine. It is finished when all files are in
their places and the API has been told so, by the first question that this machine asks by its own token.
"""

import base64
import hashlib
import ipaddress
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hatchway.domain.machine import Role
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation.atomic_directory import failing, filled_directory, replaced_files
from hatchway.installation.installation import machine_names
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import replace_private, write_private
from hatchway.keys.key_files import MACHINE, STORE_LOCATION, KeyProblem, read_keys, read_private_file
from hatchway.keys.machines import new_machine_key, public_key_of
from hatchway.machines.api import (
    NOT_KNOWN,
    Refused,
    check_url,
    pinned_authority,
    post,
    trusting,
)
from hatchway.machines.calls import (
    FILES,
    KINDS,
    PAUSE_SECONDS,
    TOO_SOON,
    Answer,
    MachineApi,
    opened,
    own_names,
    read_given,
)
from hatchway.machines.join_tokens import binding, read_join_token
from hatchway.pki.certificate_authority import new_request
from hatchway.pki.certificates import KeyPair, is_for_key
from hatchway.pki.name_constraints import is_dns_name
from hatchway.settings import DataDirectory

_LONGEST: Final = 4096
_FINAL: Final = (400, NOT_KNOWN)
"""What the API answers with when the same question will never be answered otherwise."""
GO_ON: Final = "to continue, run the same command again with the same token before that expires"
"""What to do about a joining of which nothing is in place."""

_BOUND_OTHERWISE: Final = (
    "the API has not bound this gateway to the VPCs or endpoints of its token: an older control plane has"
    " answered, which cannot. Upgrade all control planes first"
)
_ROOM: Final = 131_072
"""Bytes that have to be free: more than all files of a machine take."""


@dataclass(frozen=True, slots=True)
class JoinResult:
    """`names` are those of the certificate, `beyond` those that the CA may not issue for, `left_out` how many
    more it cannot have. `certified` is whether the certificate is there already, `finished` whether the API
    knows that all is in place."""

    machine: Joined
    names: tuple[str, ...]
    beyond: tuple[str, ...]
    certified: bool
    store_url: str = field(repr=False)
    finished: bool = True
    left_out: int = 0


def join(
    directory: DataDirectory,
    token: str,
    api_urls: Sequence[str],
    required: Sequence[str] = (),
    owner: tuple[int, int] | None = None,
    *,
    former: Joined | None = None,
) -> JoinResult:
    """Makes the data directory of a machine that joins: all of it, or none.

    Args:
        token: as `hatchway join-token create` has printed it.
        required: names that the certificate must be for: else nothing is made.
        owner: the user and group that get the files; None for who runs this.
        former: what the directory is already. Its files are replaced then, and it is known as that no more.

    Raises:
        BadUsage: the token or a URL is none, or the directory cannot be one.
        CommandFailed: the directory is not empty, or the API refuses or cannot be reached.
    """
    secret, pin, bound = read_join_token(token)
    urls = tuple(map(check_url, api_urls))
    for name in required:
        if not is_dns_name(name) and not _is_address(name):
            raise BadUsage(f"--name {name!r} is neither a host name nor an address")
    unfinished = directory.unfinished_join
    try:
        with failing(f"cannot make {directory.path}"), _filled(directory, owner, former) as path:
            _require_room(path)
            context = trusting(None if pin is None else pinned_authority(urls, pin))
            with _remembered(unfinished, secret) as private_key:
                request = new_request()
                body = {
                    "name": machine_names()[-1],
                    "names": own_names(),
                    "required": list(required),
                    "public_key": base64.b64encode(public_key_of(private_key)).decode("ascii"),
                    "request": request.certificate.decode("ascii"),
                    **({} if former is None else {"replaces": former.token}),
                }

                def ask() -> Answer:
                    return Answer(post(urls, context, "/machine/v1/join", secret, body))

                answer = _asked_twice(ask)
                joined = Joined(
                    machine_id=answer.text("machine_id"),
                    token=answer.text("token"),
                    role=Role(answer.text("role")),
                    api_urls=urls,
                    trusts_ca=pin is not None,
                    private_key=private_key,
                    required=tuple(required),
                    vpcs=answer.texts("vpcs"),
                    endpoints=answer.texts("endpoints"),
                )
                if bound is not None and bound != binding(joined.vpcs, joined.endpoints):
                    raise CommandFailed(_BOUND_OTHERWISE)
                keys = opened(joined, answer.text("keys"))
                _put_files(DataDirectory(path), joined, keys, answer, request)
        unfinished.unlink(missing_ok=True)
    except CommandFailed as problem:
        if os.path.lexists(unfinished):
            raise CommandFailed(f"{problem} ({GO_ON})") from problem
        raise
    held = {kind: read_given(text) for kind, text in keys.items() if kind in FILES}
    finished = _finish(MachineApi(joined, directory, held, own_names()), request, answer)
    certified = directory.server_certificate.exists()
    return JoinResult(
        joined,
        answer.texts("names"),
        answer.texts("beyond"),
        certified,
        keys["store_url"],
        finished,
        answer.number("left_out"),
    )


def resume_join(directory: DataDirectory, joined: Joined, token: str) -> JoinResult | None:
    """What a joining by this token has come to that was killed when all was in place, and was not told of as
    finished yet; None where there is none.

    Raises:
        BadUsage: the token is none.
        CommandFailed: the API refuses or cannot be reached, or a file there cannot be read.
    """
    secret, *_ = read_join_token(token)
    unfinished = directory.unfinished_join
    if _left(unfinished, hashlib.sha256(secret.encode()).hexdigest()) != joined.private_key:
        return None
    with failing(f"cannot use {directory.path}"):
        held = {
            kind: read_keys(KINDS[kind], directory.path / name, os.environ)
            for kind, name in FILES.items()
            if os.path.lexists(directory.path / name)
        }
        answer = MachineApi(joined, directory, held, own_names()).ask()
        url = read_private_file(STORE_LOCATION, directory.store_location, _LONGEST).decode().strip()
        unfinished.unlink(missing_ok=True)
    return JoinResult(
        joined,
        answer.texts("names"),
        answer.texts("beyond"),
        directory.server_certificate.exists(),
        url,
        left_out=answer.number("left_out"),
    )


def _filled(
    directory: DataDirectory, owner: tuple[int, int] | None, former: Joined | None
) -> AbstractContextManager[Path]:
    last, keeps = directory.machine.name, directory.unfinished_join.name
    if former is None:
        return filled_directory(directory.path, last=last, owner=owner, keeps=keeps)
    # A gateway has no master key, nor is another CA's certificate of any use.
    others = (directory.master_key.name, directory.server_certificate.name)
    return replaced_files(directory.path, last=last, keeps=keeps, instead_of=others)


def _require_room(path: Path) -> None:
    """Before the token is used, which on another disk it could not be again.

    Raises:
        OSError: there is no room for what a machine is given.
    """
    with tempfile.TemporaryFile(dir=path) as file:
        os.posix_fallocate(file.fileno(), 0, _ROOM)


def _asked_twice(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except Refused as refused:
        if refused.status != TOO_SOON:
            raise
    # By another of its URLs, or by who has just given the same command, it has been taken in a moment ago.
    time.sleep(PAUSE_SECONDS)
    return ask()


def _put_files(
    aside: DataDirectory, joined: Joined, keys: Mapping[str, str], answer: Answer, request: KeyPair
) -> None:
    for kind, text in keys.items():
        if kind in FILES:
            write_private(aside.path / FILES[kind], read_given(text).text)
    write_private(aside.store_location, keys["store_url"].encode() + b"\n")
    if (authorities := answer.maybe("ca")) is not None:
        write_private(aside.ca_certificate, authorities.encode(), 0o644)
        certificate = answer.maybe("certificate")
        if certificate is not None and is_for_key(certificate.encode(), request.key):
            write_private(aside.server_certificate, certificate.encode() + request.key)
    write_private(aside.machine, joined.text)


def _finish(api: MachineApi, request: KeyPair, answer: Answer) -> bool:
    """Tells the API that all is in place, and waits a while for the certificate where there is none yet.

    Whether it could be told."""
    try:
        answer = api.ask()
        if answer.maybe("ca") is not None and not api.directory.server_certificate.exists():
            api.await_certificate(request, answer)
    except (CommandFailed, OSError):
        # The server does so when it starts.
        return False
    return True


@contextmanager
def _remembered(path: Path, secret: str) -> Iterator[bytes]:
    """The private key as which a machine joins by this token: of an interrupted attempt the same again.

    It is forgotten only when the API certainly has not taken the machine in.

    Raises:
        CommandFailed: what an attempt has left cannot be read.
    """
    digest = hashlib.sha256(secret.encode()).hexdigest()
    private_key = _left(path, digest)
    fresh = private_key is None
    if private_key is None:
        private_key, _ = new_machine_key()
        kept = {"token_sha256": digest, "private_key": base64.b64encode(private_key).decode("ascii")}
        replace_private(path, json.dumps(kept).encode() + b"\n")
    try:
        yield private_key
    except Refused as refused:
        if refused.is_certain and (fresh or refused.status in _FINAL):
            path.unlink(missing_ok=True)
        raise


def _left(path: Path, digest: str) -> bytes | None:
    """The key that an attempt by this token has left; None where there was none."""
    if not os.path.lexists(path):
        return None
    try:
        kept: Any = json.loads(read_private_file(MACHINE, path, _LONGEST))
        if kept["token_sha256"] != digest:
            return None
        return base64.b64decode(kept["private_key"], validate=True)
    except (ValueError, KeyError, TypeError):
        # It was killed before that was on the disk: before it asked.
        return None
    except KeyProblem as problem:
        raise CommandFailed(str(problem)) from problem


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
