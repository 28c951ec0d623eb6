"""How long a gateway with many tunnels takes to decide on them again and cut those that are revoked: the real
snapshot, admission and revocation, with relays that only note that they were cut."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from bench.scale import account
from bench.scale.rows import GATEWAY_KEY

from hatchway.access.open_tunnel import TunnelRequest
from hatchway.audit.events import ENDPOINT_RESOURCE_TYPE, EventSource
from hatchway.domain.addresses import parse_address
from hatchway.domain.arns import Arns
from hatchway.domain.identity import KeyStatus
from hatchway.gateway.admission.admission import Admission
from hatchway.gateway.admission.decision import Admitted, Call
from hatchway.gateway.admission.off_limits import OffLimits
from hatchway.gateway.admission.served import Served
from hatchway.gateway.snapshot.follower import Follower
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.tunnel.registry import Registry
from hatchway.gateway.tunnel.revocation import Revocation
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatchway.gateway.tunnel.relay import Relay
    from hatchway.store import Transaction
    from hatchway.transport.websocket.close import Closure

USERS: Final = 200
HOSTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Revoked:
    """Of one change: tunnels cut of those there were, and seconds from its commit to the last decision.

    `computed` is how many of these the process has computed.
    """

    what: str
    tunnels: int
    cut: int
    seconds: float
    computed: float


class _Relay:
    def __init__(self) -> None:
        self.closure: Closure | None = None
        self.bytes_in = self.bytes_out = 0

    def explain(self, why: str) -> None: ...

    def cut(self, closure: Closure) -> None:
        self.closure = closure


class _NoAddresses:
    def holds(self, _address: object) -> bool:
        return False


def measure(directory: Path, tunnels: int) -> list[Revoked]:
    """Each kind of change on so many tunnels."""
    return [
        asyncio.run(_one(directory / f"{number}-{tunnels}.db", tunnels, what, change))
        for number, (what, change) in enumerate(_CHANGES.items())
    ]


def _deactivate(tx: Transaction) -> None:
    tx.access_keys.put(account.access_key(7, KeyStatus.INACTIVE))


def _forbid(tx: Transaction) -> None:
    account.put_policy(tx, "connect", account.POLICY.replace("OpenTunnel", "CloseTunnel"))


def _look_again(tx: Transaction) -> None:
    tx.guardrails.put(*tx.guardrails.find())


_CHANGES: Final[dict[str, Callable[[Transaction], None]]] = {
    "one user's key is deactivated": _deactivate,
    "a policy that everyone has no longer allows anything": _forbid,
    "a guardrail changes, and allows the same as before": _look_again,
}


async def _one(path: Path, tunnels: int, what: str, change: Callable[[Transaction], None]) -> Revoked:
    store = Store.open(f"sqlite:///{path}")
    store.migrate()
    account.found(store)
    account.put_users(store, GATEWAY_KEY, 0, USERS)
    account.put_hosts(store, 0, HOSTS)
    snapshot, registry = Snapshot(GATEWAY_KEY), Registry()
    admission = Admission(snapshot, registry, served=Served(), off_limits=OffLimits(_NoAddresses(), snapshot))
    revocation = Revocation(admission, registry, lambda: datetime.now(UTC))
    follower = Follower(store, snapshot, lambda _, dependencies: revocation.changed(dependencies))
    follower.catch_up()
    relays = [_Relay() for _ in range(tunnels)]
    for number, relay in enumerate(relays):
        tunnel = admitted(snapshot, number)
        reevaluation = admission.reevaluate(tunnel, datetime.now(UTC))
        if reevaluation.revoked is not None:
            raise RuntimeError(str(reevaluation.revoked))
        registry.add(tunnel._replace(dependencies=reevaluation.dependencies), cast("Relay", relay))
    running = asyncio.create_task(revocation.run())
    await asyncio.sleep(0)
    with store.write() as tx:
        change(tx)
    began, computed = time.perf_counter(), time.process_time()
    follower.catch_up()
    while revocation._due:  # noqa: ASYNC110 - it is the program that is waited for
        await asyncio.sleep(0)
    seconds, computed = time.perf_counter() - began, time.process_time() - computed
    running.cancel()
    store.close()
    cut = sum(relay.closure is not None for relay in relays)
    return Revoked(what, tunnels, cut, seconds, computed)


def admitted(snapshot: Snapshot, number: int) -> Admitted:
    """A tunnel of one of the users to one of the hosts."""
    user, host = number % USERS, number % HOSTS
    caller = snapshot.caller(account.key_id(user))
    if caller is None:
        raise RuntimeError("there is no such user")
    request = TunnelRequest(account.endpoint_id(0), account.address(host), 22, 3600)
    source = EventSource(
        account=account.ACCOUNT,
        region=account.REGION,
        event_source="ec2-instance-connect.amazonaws.com",
        request_id=f"{number:032x}",
        source_ip="192.0.2.7",
        user_agent="bench",
        user_identity=caller.principal.user_identity(),
    )
    arn = Arns(account.ACCOUNT, account.REGION).endpoint(request.endpoint_id)
    return Admitted(
        tunnel_id=f"tun-{number:017x}",
        call=Call(source=source, request=request, resources=((arn, ENDPOINT_RESOURCE_TYPE),)),
        request=request,
        address=parse_address(account.address(host)),
        principal=caller.principal,
        instance_id=None,
        quota=1 << 30,
        unreachable=None,
    )
