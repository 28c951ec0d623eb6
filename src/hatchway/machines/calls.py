"""What a machine asks the API by its own token, and what it is answered."""

import base64
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hatchway.domain.machine import Role
from hatchway.errors import CommandFailed
from hatchway.installation.installation import machine_names, private_addresses
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import replace_private
from hatchway.keys.key_files import GATEWAY_KEY, MASTER_KEY, Keys, parse_keys
from hatchway.keys.machines import GATEWAY, MASTER, open_sealed, seal_context, told_ids
from hatchway.keys.vault import Unsealable
from hatchway.machines.api import NotTrusted, Refused, post, trusting
from hatchway.pki.certificate_authority import new_request
from hatchway.pki.certificates import (
    KeyPair,
    PkiProblem,
    certificates_in,
    fingerprint,
    is_for_key,
    is_good_at,
)
from hatchway.pki.name_constraints import is_dns_name
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory

CERTIFICATE_SECONDS: Final = 20.0
"""How long to wait for a certificate that the control plane with the CA's key has to issue."""
_RENEW: Final = "/machine/v1/renew"
_NOT_UNDERSTOOD: Final = 400
"""HTTP's status of a body with what is not known."""
TOO_SOON: Final = 429
"""HTTP's status of what is asked once more too soon."""
PAUSE_SECONDS: Final = 2.5
"""After which it is not too soon any more."""
MOST_NAMES: Final = 60
FILES: Final = {MASTER: "master.key", GATEWAY: "gateway.key"}
KINDS: Final = {MASTER: MASTER_KEY, GATEWAY: GATEWAY_KEY}
"""The kinds of keys that machines are given: where each is, and as what it is read."""
_POLL_SECONDS: Final = 1.0


class Answer:
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

    def number(self, key: str) -> int:
        """Of an older API, which does not say it, 0."""
        value = self._answer.get(key)
        return value if isinstance(value, int) else 0

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._answer.get(key)
        return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class MachineApi:
    """The API, asked as a machine that has these keys and goes by these names."""

    joined: Joined
    directory: DataDirectory
    held: Mapping[str, Keys]
    names: Sequence[str]

    def ask(self, request: KeyPair | None = None) -> Answer:
        joined = self.joined
        authorities = read_as_owner(self.directory.ca_certificate) if joined.trusts_ca else None
        body: dict[str, Any] = {"key_ids": list(told_ids(self.held)), "authorities": self._authorities()}
        if joined.role is Role.CONTROL:
            body |= {"names": list(self.names), "required": list(joined.required)}
        if request is not None:
            body["request"] = request.certificate.decode("ascii")
        context = trusting(authorities)
        try:
            return Answer(self._post(context, body))
        except NotTrusted as problem:
            if not joined.trusts_ca:
                raise
            raise CommandFailed(
                f"{problem}. If the CA in ca.pem was replaced by another while this machine was away,"
                " let it join again: hatchway join --again, with a new token (hatchway join-token"
                " create)"
            ) from problem

    def _post(self, context: ssl.SSLContext, body: dict[str, Any]) -> dict[str, Any]:
        urls, token = self.joined.api_urls, self.joined.token
        try:
            return post(urls, context, _RENEW, token, body)
        except Refused as refused:
            if refused.status != _NOT_UNDERSTOOD:
                raise
            # It is of the version before, which does not know of CAs that machines tell of.
            return post(
                urls, context, _RENEW, token, {key: body[key] for key in body if key != "authorities"}
            )

    def _authorities(self) -> list[str]:
        """The fingerprints of the CAs that this machine trusts; none where its file is damaged."""
        with suppress(OSError, PkiProblem):
            return list(map(fingerprint, certificates_in(read_as_owner(self.directory.ca_certificate))))
        return []

    def ask_for_certificate(self, now: datetime) -> None:
        """Asks for a new certificate, and waits a while until it is in place. See `await_certificate`."""
        request = new_request()
        try:
            answer = self.ask(request)
        except Refused as refused:
            if refused.status != TOO_SOON:
                raise
            # One that has just joined, and listens where it is called otherwise.
            time.sleep(PAUSE_SECONDS)
            answer = self.ask(request)
        self.await_certificate(request, answer, now)

    def await_certificate(self, request: KeyPair, answer: Answer, now: datetime | None = None) -> None:
        """Puts the certificate in place when it has come, if it does within some seconds.

        Raises:
            CommandFailed: it is not good `now`, yet or any more: what is in place may be.
        """
        until = time.monotonic() + CERTIFICATE_SECONDS
        while (text := answer.maybe("certificate")) is None or not is_for_key(text.encode(), request.key):
            if time.monotonic() >= until:
                return
            time.sleep(_POLL_SECONDS)
            answer = self.ask()
        if now is not None and not is_good_at(text.encode(), now):
            raise CommandFailed(
                "the certificate that the API has issued is not good at this machine's time: see that the"
                " clocks of this machine and of the one with the CA's key are right"
            )
        replace_private(self.directory.server_certificate, text.encode() + request.key)


def opened(joined: Joined, sealed: str) -> dict[str, str]:
    """What the API has sealed for this machine alone, by its names.

    Raises:
        CommandFailed: it does not open.
    """
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


def read_given(text: str) -> Keys:
    """
    Raises:
        CommandFailed: these are no keys.
    """
    keys = parse_keys(text)
    if keys is None:
        raise CommandFailed("the API has given a damaged key: see its data directory")
    return keys


def own_names() -> list[str]:
    """By which a control plane's machine is called."""
    names = [name for name in machine_names() if is_dns_name(name)]
    return [*names, *private_addresses()][:MOST_NAMES]
