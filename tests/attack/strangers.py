"""Strangers on the network: floods of the API's port and of the gateway's, from one address."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from tests.attack.honest import (
    SPAWNING,
    Gone,
    Refused,
    Tunnel,
    asked,
    echo_host,
    echoes,
    meanwhile,
    opened,
    stand_back,
)
from tests.attack.site import INSTANCE, OPEN, Site, free_source, resident_bytes
from tests.attack.trial import Family, Outcome, Trial, is_bearable, milliseconds, percentile
from tests.control import hostile_clients
from tests.control.hostile_clients import Bound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SECONDS: Final = 5.0
MANY: Final = 600
"""Connections of an attack at once, from one address."""
MOST_SECONDS: Final = 2.0
"""How long anybody else waits for an answer meanwhile."""
MOST_MEMORY: Final = 128 << 20
"""Bytes that the control plane may grow by: 600 bodies of a mebibyte would be five times that."""
MOST_TIMES: Final = 3.0
ROUNDS: Final = 3

_AUTHORIZATION: Final = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/ec2/aws4_request, "
    f"SignedHeaders=host, Signature={'0' * 64}"
)


def _hostile(name: str, address: tuple[str, int], many: int, source: str, more: Mapping[str, Any]) -> None:
    stand_back()
    getattr(hostile_clients, name)(*address, Bound(many, SECONDS), source, **more)


class _Attack:
    """An attack in a process of its own."""

    def __init__(self, name: str, address: tuple[str, int], source: str, many: int, **more: Any) -> None:
        self._process = SPAWNING.Process(
            target=_hostile, args=(name, address, many, source, more), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        # Until it is in full swing.
        time.sleep(2.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.join(0.1)
        self._process.kill()
        self._process.join()

    def signal(self, number: int) -> None:
        """Pause it, or let it go on."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)


def _on_the_api(name: str, number: int, many: int, more: Mapping[str, Any]) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        token = _host_token(site)
        keys = f"/host/v1/authorized-keys?user=ec2-user&fingerprint=SHA256:{'A' * 43}"
        before = resident_bytes(site.processes()["control"])
        sts = site.api("sts")
        sts.get_caller_identity()
        answers: dict[str, list[tuple[float, int]]] = {"healthz": [], "key look-ups": [], "signed calls": []}
        largest = before
        with _Attack(name, site.api_address, free_source(number), many, **more):
            end = time.monotonic() + SECONDS - 1
            while time.monotonic() < end:
                answers["healthz"].append(asked(site))
                answers["key look-ups"].append(asked(site, keys, header=f"authorization: Bearer {token}"))
                answers["signed calls"].append(_identified(site))
                largest = max(largest, resident_bytes(site.processes()["control"]))
                time.sleep(0.05)
        wrong = {what: [status for _, status in seen if status != 200] for what, seen in answers.items()}
        slowest = {what: max(seconds for seconds, _ in seen) for what, seen in answers.items()}
        grown = largest - before
        held = not any(wrong.values()) and max(slowest.values()) <= MOST_SECONDS and grown <= MOST_MEMORY
        told = ", ".join(
            f"{what} {len(answers[what])} answered, slowest {milliseconds(seconds)}"
            + (f", {len(wrong[what])} not" if wrong[what] else "")
            for what, seconds in slowest.items()
        )
        return Outcome(held, f"{told}; memory +{grown / (1 << 20):.0f} MiB")

    return run


def _identified(site: Site) -> tuple[float, int]:
    """A signed call on a connection of its own."""
    began = time.perf_counter()
    status = 200
    try:
        site.api("sts", read_timeout=10, connect_timeout=10).get_caller_identity()
    except Exception as problem:  # whatever it is, the caller was not served
        status = 0 if not hasattr(problem, "response") else 500
    return time.perf_counter() - began, status


def _host_token(site: Site) -> str:
    path = site.directory / "host-token"
    if not path.exists():
        done = site.command("host", "enroll", INSTANCE, "--json")
        if done.returncode != 0:
            done = site.command("host", "enroll", "web-1", "--json")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        path.write_text(next(value for value in made.values() if str(value).startswith("hwh_")))
    return path.read_text()


def _on_the_gateway(name: str, number: int, many: int, more: Mapping[str, Any]) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        user, newcomer = f"carol-{number}", free_source(240 - number)
        site.user(user, OPEN)
        with echo_host() as port:
            tunnel = Tunnel(site, site.target(user, port))
            calm, hostile = [], []
            try:
                with _Attack(name, site.gateway_address, free_source(100 + number), many, **more) as attack:
                    for _ in range(ROUNDS):
                        attack.signal(signal.SIGSTOP)
                        calm.append(percentile(echoes(tunnel, 0.4), 0.95))
                        attack.signal(signal.SIGCONT)
                        hostile.append(percentile(echoes(tunnel, 0.4), 0.95))
                    known = max(meanwhile(0.5, partial(opened, site, user, port)))
                    new = opened(site, user, port, newcomer)
                tunnel.echo()
            except (Gone, Refused, OSError) as problem:
                return Outcome(False, f"{type(problem).__name__}: {problem}")
            finally:
                tunnel.close()
        return Outcome(
            is_bearable(hostile, calm, MOST_TIMES) and max(known, new) < 10,
            f"open tunnels' echo p95 {milliseconds(max(hostile))}, calm {milliseconds(max(calm))};"
            f" opened in {milliseconds(known)} from a known"
            f" address, in {milliseconds(new)} from a new one",
        )

    return run


_MEASURED_API: Final = (
    f"healthz, hosts' key look-ups and signed calls from elsewhere are answered within {MOST_SECONDS:.0f} s;"
    f" memory grows by less than {MOST_MEMORY >> 20} MiB"
)
_API: Final[Mapping[str, tuple[str, int, Mapping[str, Any]]]] = {
    "half_open": ("connections that send nothing", MANY, {}),
    "half_open_after_a_byte": ("TLS handshakes that stop after a byte", MANY, {}),
    "silent_after_tls": ("connections that complete TLS and send nothing", 300, {}),
    "trickled_heads": ("request heads, one byte every tenth of a second", 300, {}),
    "trickled_bodies": ("bodies, one byte every tenth of a second", 300, {"authorization": _AUTHORIZATION}),
    "large_bodies": ("bodies of 1 MiB that never end", 300, {"authorization": _AUTHORIZATION}),
    "tiny_chunks": ("bodies in one-byte chunks", 20, {}),
    "many_headers": ("request heads with 5,000 headers", 100, {}),
    "key_updates": ("request heads with 500 TLS key updates before each byte", 40, {}),
    "bad_signatures": ("calls with bad signatures", 2000, {"authorization": _AUTHORIZATION}),
}
_GATEWAY: Final[Mapping[str, tuple[str, int, Mapping[str, Any]]]] = {
    "half_open": ("connections that send nothing", MANY, {}),
    "half_open_after_a_byte": ("TLS handshakes that stop after a byte", MANY, {}),
    "silent_after_tls": ("connections that complete TLS and send nothing", 300, {}),
    "trickled_heads": ("request heads, one byte every tenth of a second", 300, {}),
    "bad_signatures": ("requests with bad signatures", 2000, {"authorization": _AUTHORIZATION}),
}

API: Final = Family(
    "api",
    "A stranger on the API's port, from one address",
    [
        Trial(f"api_{name}", f"{many} {words}", _MEASURED_API, _on_the_api(name, number, many, more))
        for number, (name, (words, many, more)) in enumerate(_API.items())
    ],
)
GATEWAY: Final = Family(
    "gateway",
    "A stranger on the gateway's port, from one address",
    [
        Trial(
            f"gateway_{name}",
            f"{many} {words}",
            f"open tunnels' echo p95 at most {MOST_TIMES:.0f} times calm, or 20 ms; newcomers get tunnels",
            _on_the_gateway(name, number, many, more),
        )
        for number, (name, (words, many, more)) in enumerate(_GATEWAY.items())
    ],
)
