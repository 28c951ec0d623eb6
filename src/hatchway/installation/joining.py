"""`hatchway join`: a data directory for a control plane or a gateway on a machine of its own.

It is made of what the API gives to whoever has a join token, and kept up afterwards by the machine's own:
certificates before they end, keys when others have taken their place. What this leaves:

    machine.json   who it is: its token, its key, where the API is
    store.url      the store's URL
    gateway.key    and, for a control plane alone, master.key
    ca.pem         the CAs that clients trust; server.pem, the certificate, whose key never leaves
"""

import base64
import binascii
import ipaddress
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hatchway.access.key_files import (
    GATEWAY_KEY,
    MACHINE,
    MASTER_KEY,
    KeyProblem,
    Keys,
    parse_keys,
    read_keys,
    read_private_file,
)
from hatchway.access.machines import GATEWAY, MASTER, new_machine_key, open_sealed, seal_context, told_ids
from hatchway.access.vault import Unsealable
from hatchway.domain.bearer_token import InvalidToken
from hatchway.domain.machine import JOIN_TOKEN, Role
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.installation.atomic_directory import failing, filled_directory
from hatchway.installation.installation import (
    machine_names,
    private_addresses,
    replace_private,
    write_private,
)
from hatchway.installation.machine_api import Refused, check_url, pinned_authority, post, trusting
from hatchway.pki import KeyPair, PkiProblem, certificates_in, is_dns_name, is_due, is_for_key, new_request
from hatchway.settings import DataDirectory

CERTIFICATE_SECONDS: Final = 20.0
"""How long to wait for a certificate that the control plane with the CA's key has to issue."""
_POLL_SECONDS: Final = 1.0
_LONGEST: Final = 65_536
_TOO_SOON: Final = 429
_PAUSE_SECONDS: Final = 2.5
_MORE_TRIES: Final = 4
_MOST_NAMES: Final = 60
_PATHS: Final = {MASTER: "master.key", GATEWAY: "gateway.key"}
_KINDS: Final = {MASTER: MASTER_KEY, GATEWAY: GATEWAY_KEY}


@dataclass(frozen=True, slots=True)
class Joined:
    """What machine.json holds.

    `trusts_ca` is whether the API shows a certificate of the private CA; else one that the system trusts.
    `required` are names that its certificate must be for, whatever the machine is called. `vpcs` and
    `endpoints` are those that a gateway serves.
    """

    machine_id: str
    token: str = field(repr=False)
    role: Role
    api_urls: tuple[str, ...]
    trusts_ca: bool
    private_key: bytes = field(repr=False)
    required: tuple[str, ...] = ()
    vpcs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()

    @classmethod
    def read(cls, directory: DataDirectory) -> "Joined | None":
        """None where the machine did not join: it has made its installation, or been given a copy.

        Raises:
            KeyProblem: the file is damaged, or open to others.
        """
        if not os.path.lexists(directory.machine):
            return None
        try:
            kept: Any = json.loads(read_private_file(MACHINE, directory.machine, _LONGEST))
            return cls(
                machine_id=str(kept["machine_id"]),
                token=str(kept["token"]),
                role=Role(kept["role"]),
                api_urls=tuple(map(str, kept["api_urls"])),
                trusts_ca=bool(kept["trusts_ca"]),
                private_key=base64.b64decode(kept["private_key"], validate=True),
                required=tuple(map(str, kept["required"])),
                vpcs=tuple(map(str, kept["vpcs"])),
                endpoints=tuple(map(str, kept.get("endpoints", ()))),
            )
        except (ValueError, KeyError, TypeError) as problem:
            raise KeyProblem(
                f"{directory.machine} is damaged: {MACHINE.remedy_of_damage.format(path=directory.machine)}"
            ) from problem

    @property
    def text(self) -> bytes:
        kept = {
            "machine_id": self.machine_id,
            "token": self.token,
            "role": self.role.value,
            "api_urls": self.api_urls,
            "trusts_ca": self.trusts_ca,
            "private_key": base64.b64encode(self.private_key).decode("ascii"),
            "required": self.required,
            "vpcs": self.vpcs,
            "endpoints": self.endpoints,
        }
        return json.dumps(kept, indent=2).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class JoinResult:
    """`names` are those of the certificate, `beyond` those that the CA may not issue for. `certified` is
    whether the certificate is there already."""

    machine: Joined
    names: tuple[str, ...]
    beyond: tuple[str, ...]
    certified: bool
    store_url: str = field(repr=False)


def join(
    directory: DataDirectory,
    token: str,
    api_urls: Sequence[str],
    required: Sequence[str] = (),
    owner: tuple[int, int] | None = None,
) -> JoinResult:
    """Makes the data directory of a machine that joins: all of it, or none.

    Args:
        token: as `hatchway join-token create` has printed it.
        required: names that the certificate must be for: else nothing is made.
        owner: the user and group that get the files; None for who runs this.

    Raises:
        BadUsage: the token or a URL is none, or the directory cannot be one.
        CommandFailed: the directory is not empty, or the API refuses or cannot be reached.
    """
    secret, pin = read_join_token(token)
    urls = tuple(map(check_url, api_urls))
    for name in required:
        if not is_dns_name(name) and not _is_address(name):
            raise BadUsage(f"--name {name!r} is neither a host name nor an address")
    with (
        failing(f"cannot make {directory.path}"),
        filled_directory(directory.path, last=directory.machine.name, owner=owner) as path,
    ):
        aside = DataDirectory(path)
        context = trusting(None if pin is None else pinned_authority(urls, pin))
        private_key, public_key = new_machine_key()
        request = new_request()
        body = {
            "name": machine_names()[-1],
            "names": _own_names(),
            "required": list(required),
            "public_key": base64.b64encode(public_key).decode("ascii"),
            "request": request.certificate.decode("ascii"),
        }
        answer = _Answer(post(urls, context, "/machine/v1/join", secret, body))
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
        keys = _opened(joined, answer.text("keys"))
        held = {kind: _read(text) for kind, text in keys.items() if kind in _PATHS}
        for kind, each in held.items():
            write_private(path / _PATHS[kind], each.text)
        write_private(aside.store_location, keys["store_url"].encode() + b"\n")
        if (authorities := answer.maybe("ca")) is not None:
            write_private(aside.ca_certificate, authorities.encode())
            aside.ca_certificate.chmod(0o644)
            _Api(joined, aside, held, _own_names()).await_certificate(request, answer)
        write_private(aside.machine, joined.text)
        certified = aside.server_certificate.exists()
    return JoinResult(joined, answer.texts("names"), answer.texts("beyond"), certified, keys["store_url"])


def renew(directory: DataDirectory, joined: Joined, now: datetime, further: Sequence[str] = ()) -> list[str]:
    """Asks what this machine is to have now, and puts it in place: what became another.

    Args:
        further: by which names and addresses a control plane is called besides.

    Raises:
        CommandFailed: the API refuses or cannot be reached, or a file cannot be written.
    """
    try:
        return _renew(directory, joined, now, further)
    except (KeyProblem, PkiProblem) as problem:
        raise CommandFailed(str(problem)) from problem
    except OSError as problem:
        raise CommandFailed(
            f"cannot use {problem.filename or directory.path}: {reason(problem)}"
        ) from problem


def _renew(directory: DataDirectory, joined: Joined, now: datetime, further: Sequence[str]) -> list[str]:
    changed = []
    wanted = [kind for kind in _PATHS if kind == GATEWAY or joined.role is Role.CONTROL]
    held = {
        kind: read_keys(_KINDS[kind], directory.path / _PATHS[kind], os.environ)
        for kind in wanted
        # One that was taken away is given anew.
        if _KINDS[kind].variable in os.environ or os.path.lexists(directory.path / _PATHS[kind])
    }
    api = _Api(joined, directory, held, [*further, *_own_names()][:_MOST_NAMES])
    answer = api.ask()
    for _ in range(_MORE_TRIES):
        if answer.is_current:
            break
        # By a load balancer it may have been this very machine.
        answer = api.ask()
    if (sealed := answer.maybe("keys")) is not None:
        for kind, text in _opened(joined, sealed).items():
            if kind not in wanted or _KINDS[kind].variable in os.environ or _read(text) == held.get(kind):
                continue
            replace_private(directory.path / _PATHS[kind], _read(text).text)
            held[kind] = _read(text)
            changed.append(_PATHS[kind])
        # Those who do the next step wait for it to say that it has this one.
        api.ask()
    if (authorities := answer.maybe("ca")) is None:
        return changed
    if not certificates_in(authorities.encode()):
        raise CommandFailed("the API names no CA: see that ca.pem is there")
    if authorities.encode() != directory.ca_certificate.read_bytes():
        replace_private(directory.ca_certificate, authorities.encode())
        directory.ca_certificate.chmod(0o644)
        changed.append(directory.ca_certificate.name)
    current = _content(directory.server_certificate)
    if is_due(current, authorities.encode(), answer.texts("names"), now):
        api.ask_for_certificate()
        if _content(directory.server_certificate) != current:
            changed.append(directory.server_certificate.name)
    return changed


def _content(path: Path) -> bytes:
    """A file's; nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def read_join_token(text: str) -> tuple[str, bytes | None]:
    """The secret part, and the SHA-256 of the CA's certificate, if it has one.

    Raises:
        BadUsage: it is no join token.
    """
    secret, dot, pin = text.strip().partition(".")
    try:
        JOIN_TOKEN.read(secret)
        digest = base64.b64decode(pin + "=", altchars=b"-_", validate=True) if dot else None
        if digest is not None and len(digest) != 32:
            raise InvalidToken
    except (InvalidToken, binascii.Error) as problem:
        raise BadUsage(
            "this is no join token: give the whole of what 'hatchway join-token create' has printed, hwj_…"
        ) from problem
    return secret, digest


def write_join_token(secret: str, fingerprint: bytes | None) -> str:
    """The text of both."""
    if fingerprint is None:
        return secret
    return f"{secret}.{base64.urlsafe_b64encode(fingerprint).rstrip(b'=').decode('ascii')}"


class _Answer:
    """What the API has answered, each part of the kind that it must be."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._answer = answer

    def text(self, key: str) -> str:
        value = self.maybe(key)
        if value is None:
            raise CommandFailed(f"the API's answer has no {key}: see that all are of one version")
        return value

    def maybe(self, key: str) -> str | None:
        value = self._answer.get(key)
        return value if isinstance(value, str) else None

    @property
    def is_current(self) -> bool:
        """Whether who has answered has the keys that are the ones to have."""
        return self._answer.get("current") is not False

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._answer.get(key)
        return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class _Api:
    """The API, asked as a machine that has these keys and goes by these names."""

    joined: Joined
    directory: DataDirectory
    held: Mapping[str, Keys]
    names: Sequence[str]

    def ask(self, request: KeyPair | None = None) -> _Answer:
        joined = self.joined
        authorities = self.directory.ca_certificate.read_bytes() if joined.trusts_ca else None
        body: dict[str, Any] = {"key_ids": list(told_ids(self.held))}
        if joined.role is Role.CONTROL:
            body |= {"names": list(self.names), "required": list(joined.required)}
        if request is not None:
            body["request"] = request.certificate.decode("ascii")
        context = trusting(authorities)
        return _Answer(post(joined.api_urls, context, "/machine/v1/renew", joined.token, body))

    def ask_for_certificate(self) -> None:
        """Asks for a new certificate, and waits a while until it is in place."""
        request = new_request()
        try:
            answer = self.ask(request)
        except Refused as refused:
            if refused.status != _TOO_SOON:
                raise
            # One that has just joined, and listens where it is called otherwise.
            time.sleep(_PAUSE_SECONDS)
            answer = self.ask(request)
        self.await_certificate(request, answer)

    def await_certificate(self, request: KeyPair, answer: _Answer) -> None:
        """Puts the certificate in place when it has come, if it does within some seconds."""
        until = time.monotonic() + CERTIFICATE_SECONDS
        while (text := answer.maybe("certificate")) is None or not is_for_key(text.encode(), request.key):
            if time.monotonic() >= until:
                return
            time.sleep(_POLL_SECONDS)
            answer = self.ask()
        replace_private(self.directory.server_certificate, text.encode() + request.key)


def _opened(joined: Joined, sealed: str) -> dict[str, str]:
    try:
        text = open_sealed(
            joined.private_key, base64.b64decode(sealed, validate=True), seal_context(joined.machine_id)
        )
        keys = json.loads(text)
        if not isinstance(keys, dict) or not all(isinstance(each, str) for each in keys.values()):
            raise ValueError
    except (Unsealable, ValueError) as problem:
        raise CommandFailed("what the API has sealed for this machine does not open: join again") from problem
    return keys


def _read(text: str) -> Keys:
    keys = parse_keys(text)
    if keys is None:
        raise CommandFailed("the API has given a damaged key: see its data directory")
    return keys


def _own_names() -> list[str]:
    names = [name for name in machine_names() if is_dns_name(name)]
    return [*names, *private_addresses()][:_MOST_NAMES]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
