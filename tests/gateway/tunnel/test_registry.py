"""The tunnels that a worker carries."""

from datetime import UTC, datetime
from typing import Any

from tests.gateway.harness import Says

from hatchway.domain.endpoint import ProxyProtocol
from hatchway.gateway.admission.decision import Admitted
from hatchway.gateway.tunnel.registry import Registry
from hatchway.transport.websocket.handshake import Head

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def admitted(tunnel_id: str) -> Admitted:
    head = Head("/openTunnel", "", ())
    answer = Says(22).decide(head, source_ip="192.0.2.7", request_id="r", tunnel_id=tunnel_id, now=NOW)
    assert isinstance(answer, Admitted)
    return answer


def test_a_tunnel_that_has_ended_counts_against_no_quota_and_is_there_until_it_is_gone() -> None:
    registry, tunnels = Registry(), [admitted("tun-1"), admitted("tun-2")]
    relay: Any = None
    endpoint_id, maker_id = tunnels[0].request.endpoint_id, tunnels[0].principal.maker_id

    def counted() -> tuple[int, int, int]:
        return registry.on_endpoint(endpoint_id), registry.of_principal(maker_id), len(registry)

    for tunnel in tunnels:
        registry.add(tunnel, relay)
    assert counted() == (2, 2, 2)
    registry.note_ended(tunnels[0])
    assert counted() == (1, 1, 2)
    registry.remove(tunnels[0])
    assert counted() == (1, 1, 1)
    # One that was never recorded is not noted as ended.
    registry.remove(tunnels[1])
    assert counted() == (0, 0, 0)


def test_what_is_kept_of_a_tunnel_is_all_but_how_it_was_decided() -> None:
    opened = admitted("tun-1")._replace(
        decision="{}", principal_quota=7, dependencies=(("users", "a"),), proxy_protocol=ProxyProtocol.V2
    )
    relay: Any = None
    dependencies = (("users", "a"),)
    assert Registry().add(opened, relay) == opened._replace(decision="", dependencies=dependencies)
    assert opened.without_decision(()) == opened._replace(decision="", dependencies=())
