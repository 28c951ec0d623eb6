"""What Prometheus is told, and that the dashboard and the alerts ask for nothing else."""

import asyncio
import json
import re
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.harness import Remembers, Running, Says, echo, event_source, running_gateway, target
from tests.transport.harness import LOOPBACK, WebSocket, request, run, until

from hatchway.gateway.admission.decision import Call, Refused
from hatchway.gateway.admission.refusal import access_denied
from hatchway.gateway.telemetry.metrics import LAG_INTERVAL, Metrics
from hatchway.gateway.tunnel.closures import TARGET_CLOSED
from hatchway.metrics_listener import metrics_listener
from hatchway.settings import Address

DEPLOY = Path(__file__).parents[3] / "deploy"


def samples(metrics: Metrics) -> Mapping[str, float]:
    """Each sample by its name, a label that it has after a colon."""
    return parsed(generate_latest(metrics.registry).decode())


def parsed(text: str) -> dict[str, float]:
    return {
        ":".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def watched(gateway: Running, expires_at: datetime | None = None) -> Metrics:
    gateway.metrics.watch(
        gateway.registry,
        pending=lambda: gateway.listener.pending,
        shed=lambda: gateway.listener.shed,
        revision=lambda: 7,
        age=lambda: 0.25,
        pending_records=lambda: 3,
        ready=lambda: True,
        restores=lambda: 2,
        certificate_expires_at=lambda: expires_at,
    )
    return gateway.metrics


def test_a_tunnel_is_counted_while_it_is_open_and_after_it_has_closed() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            metrics = watched(gateway)
            client = await WebSocket.open(gateway.port)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            now = samples(metrics)
            assert now["hatchway_tunnels_open"] == 1
            assert now["hatchway_tunnels_opened_total"] == 1
            assert now["hatchway_tunnel_bytes_total:in"] == now["hatchway_tunnel_bytes_total:out"] == 5
            assert now["hatchway_handshake_seconds_count"] == now["hatchway_connect_seconds_count"] == 1
            assert (now["hatchway_snapshot_revision"], now["hatchway_snapshot_age_seconds"]) == (7, 0.25)
            assert now["hatchway_connections_pending"] == 0
            assert now["hatchway_audit_records_waiting"] == 3
            assert now["hatchway_store_restores_total"] == 2

            await client.send(b"bye")
            await client.close()
            await client.rest()
            await until(lambda: not len(gateway.registry))
            then = samples(metrics)
            assert then["hatchway_tunnels_open"] == 0
            assert then["hatchway_tunnels_closed_total:finished"] == 1
            assert then["hatchway_tunnel_bytes_total:in"] == 8

    run(test)


def test_refusals_are_counted_by_what_the_client_was_told() -> None:
    refused = Refused(
        refusal=access_denied("no"), call=Call(source=event_source(), request=None, resources=())
    )

    async def test() -> None:
        async with running_gateway(Says(9, refused=refused)) as gateway:
            for path in ("/openTunnel", "/openTunnel", "/elsewhere"):
                client = await WebSocket.connect(gateway.port)
                client.writer.write(request(path))
                await client.reader.read()
            now = samples(gateway.metrics)
            assert now["hatchway_tunnels_refused_total:AccessDeniedException"] == 2
            assert now["hatchway_tunnels_refused_total:NotFound"] == 1
            assert now["hatchway_tunnels_opened_total"] == 0

    run(test)


def test_the_listener_says_whether_a_tunnel_would_be_opened_and_not_before_that_is_known() -> None:
    def asked(url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    async def test() -> None:
        async with running_gateway(Says(9)) as gateway:
            with metrics_listener(gateway.metrics, Address(LOOPBACK, 0)) as listener:
                assert listener is not None
                url = f"http://{LOOPBACK}:{listener.port}/readyz"
                assert await asyncio.to_thread(asked, url) == (503, "not ready\n")
                watched(gateway)
                assert await asyncio.to_thread(asked, url) == (200, "ok\n")

    run(test)


def test_when_the_certificate_ends_that_clients_are_shown_is_told_where_it_is_known() -> None:
    name = "hatchway_certificate_expiry_timestamp_seconds:gateway"
    ends = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)

    async def test() -> None:
        async with running_gateway(Says(9)) as known, running_gateway(Says(9)) as unknown:
            assert samples(watched(known, ends))[name] == ends.timestamp()
            assert name not in samples(watched(unknown))

    run(test)


def test_a_tunnel_that_could_not_be_recorded_is_a_refusal() -> None:
    async def test() -> None:
        trail = Remembers(failure=OSError("disk full"))
        async with target(echo) as port, running_gateway(Says(port), trail=trail) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.rest()
            assert samples(gateway.metrics)["hatchway_tunnels_refused_total:NotRecorded"] == 1

    run(test)


def test_the_lag_of_a_blocked_event_loop_is_seen() -> None:
    async def test() -> None:
        metrics = Metrics()
        measuring = asyncio.create_task(metrics.measure_lag())
        await asyncio.sleep(0)
        time.sleep(LAG_INTERVAL + 0.2)  # noqa: ASYNC251 - this is the block
        await until(lambda: samples(metrics)["hatchway_event_loop_lag_seconds_count"] >= 1)
        assert samples(metrics)["hatchway_event_loop_lag_seconds_sum"] >= 0.19
        measuring.cancel()

    run(test)


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() -> None:
    async def names() -> set[str]:
        async with running_gateway(Says(9)) as gateway:
            metrics = watched(gateway)
            metrics.refused.labels("x").inc()
            metrics.closed(TARGET_CLOSED)
            return {name.partition(":")[0] for name in samples(metrics)}

    known = run(names)
    dashboard = json.loads((DEPLOY / "grafana" / "hatchway.json").read_text())
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    expressions = [query["expr"] for panel in dashboard["panels"] for query in panel["targets"]]
    (rules,) = [group["rules"] for group in alerts["groups"] if group["name"] == "hatchway"]
    expressions += [rule["expr"] for rule in rules]
    asked = set(re.findall(r"\b(?:hatchway|process)_[a-z_]+", " ".join(expressions)))
    assert len(asked) > 10
    assert asked <= known
