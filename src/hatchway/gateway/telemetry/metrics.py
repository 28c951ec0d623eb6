"""What one worker counts and measures."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from hatchway.gateway.telemetry.histogram import SecondsHistogram
from hatchway.transport.listening.load_shedding import REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client.metrics_core import Metric

    from hatchway.gateway.tunnel.registry import Registry
    from hatchway.gateway.tunnel.relay import Relay
    from hatchway.transport.websocket.close import Closure

LAG_INTERVAL: Final = 0.5
"""Seconds between two checks of how late the event loop is."""

REASON_NOT_RECORDED: Final = "NotRecorded"
"""The reason of a tunnel that was not opened because the audit trail could not be written."""

CLOSE_REASONS: Final = {
    1000: "finished",
    1001: "gateway_stopping",
    1002: "protocol_error",
    1003: "protocol_error",
    1006: "client_lost",
    1007: "protocol_error",
    1008: "wasteful",
    1009: "protocol_error",
    1011: "no_target",
    1013: "out_of_touch",
    4001: "duration",
    4002: "idle",
    4003: "revoked",
    4004: "terminated",
    4029: "quota",
}


class Metrics:
    """One worker's metrics. Their names contain their units and begin with `hatchway_`.

    Attributes:
        refused: requests that got no tunnel, by the error code that the client received.
        opened: tunnels recorded as opened in the audit trail.
        handshake_seconds: from the connection to the end of its request, including TLS.
        connect_seconds: time to connect to targets that answered.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.refused = Counter(
            "hatchway_tunnels_refused",
            "Requests that got no tunnel, by the error code that the client was given;"
            f" {REASON_NOT_RECORDED} if the audit trail could not be written.",
            ["reason"],
            registry=registry,
        )
        self.opened = Counter(
            "hatchway_tunnels_opened",
            "Tunnels that the audit trail records as opened.",
            registry=registry,
        )
        self._closed = Counter(
            "hatchway_tunnels_closed",
            "Tunnels that have ended, by reason.",
            ["reason"],
            registry=registry,
        )
        # Looking a counter up by its label takes as long as counting.
        self._closed_of: dict[str, Counter] = {}
        self.handshake_seconds = SecondsHistogram(
            "hatchway_handshake_seconds",
            "Time from a connection to the end of its request, including TLS.",
            registry=registry,
        )
        self.connect_seconds = SecondsHistogram(
            "hatchway_connect_seconds",
            "Time to connect to targets that answered.",
            registry=registry,
        )
        self._lag_seconds = SecondsHistogram(
            "hatchway_event_loop_lag_seconds",
            f"How late the event loop is, measured every {LAG_INTERVAL} s.",
            registry=registry,
        )
        self._bytes_in = 0
        self._bytes_out = 0
        self._counting = threading.Lock()
        self._is_ready: Callable[[], bool] = lambda: False
        ProcessCollector(registry=registry)

    @property
    def is_ready(self) -> bool:
        """Whether the worker would open a tunnel; False until `watch` was called."""
        return self._is_ready()

    def closed(self, closure: Closure) -> None:
        reason = CLOSE_REASONS.get(closure.code, "other")
        counter = self._closed_of.get(reason)
        if counter is None:
            counter = self._closed_of[reason] = self._closed.labels(reason)
        counter.inc()

    def gone(self, relay: Relay, leave: Callable[[], None]) -> None:
        """Remove a tunnel from the registry by calling `leave`: a scrape at the same time counts its bytes
        once."""
        with self._counting:
            self._bytes_in += relay.bytes_in
            self._bytes_out += relay.bytes_out
            leave()

    async def measure_lag(self) -> None:
        """Measure again and again how late the event loop is."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            self._lag_seconds.observe(max(0.0, loop.time() - due))

    def watch(
        self,
        tunnels: Registry,
        *,
        pending: Callable[[], int],
        shed: Callable[[], Mapping[str, int]],
        revision: Callable[[], int],
        age: Callable[[], float],
        pending_records: Callable[[], int],
        ready: Callable[[], bool],
        restores: Callable[[], int],
        certificate_expires_at: Callable[[], datetime | None],
    ) -> None:
        """Also export these, with their values at the time of a scrape.

        Args:
            pending: connections that have not sent their request yet.
            shed: how many connections were reset before TLS, by reason.
            revision: the store's revision that the snapshot has.
            age: seconds since the snapshot was last known to be the store's state.
            pending_records: records that the audit trail still lacks.
            ready: whether the worker would open a tunnel.
            restores: how often the store was found restored.
            certificate_expires_at: when the certificate ends that clients are shown; None if it is unknown.
        """

        def gauges() -> Iterator[Metric]:
            with self._counting:
                carried = [relay for _, relay in tunnels]
                bytes_in = self._bytes_in + sum(relay.bytes_in for relay in carried)
                bytes_out = self._bytes_out + sum(relay.bytes_out for relay in carried)
            yield GaugeMetricFamily("hatchway_tunnels_open", "Open tunnels.", len(carried))
            total = CounterMetricFamily(
                "hatchway_tunnel_bytes",
                "Payload bytes of ended and open tunnels: in from clients, out from targets.",
                labels=["direction"],
            )
            total.add_metric(["in"], bytes_in)
            total.add_metric(["out"], bytes_out)
            yield total
            yield GaugeMetricFamily(
                "hatchway_connections_pending", "Connections that have not sent a request yet.", pending()
            )
            resets = CounterMetricFamily(
                "hatchway_connections_turned_away",
                f"Connections reset before TLS, by reason: {', '.join(REASONS)}.",
                labels=["reason"],
            )
            for reason, count in shed().items():
                resets.add_metric([reason], count)
            yield resets
            yield GaugeMetricFamily(
                "hatchway_snapshot_revision",
                "The revision of the store on which decisions are based.",
                revision(),
            )
            yield GaugeMetricFamily(
                "hatchway_snapshot_age_seconds",
                "Seconds since the store was last seen at that revision; normally up to 5.",
                age(),
            )
            yield GaugeMetricFamily(
                "hatchway_audit_records_waiting",
                "Audit records that wait because the store cannot be written.",
                pending_records(),
            )
            yield CounterMetricFamily(
                "hatchway_store_restores",
                "How often the store had been restored, and was read again from scratch.",
                restores(),
            )
            certificate = GaugeMetricFamily(
                "hatchway_certificate_expiry_timestamp_seconds",
                "When the certificate expires that this worker shows to clients.",
                labels=["certificate"],
            )
            if (expires_at := certificate_expires_at()) is not None:
                certificate.add_metric(["gateway"], expires_at.timestamp())
            yield certificate

        self._is_ready = ready
        self.registry.register(_Live(gauges))


class _Live(Collector):
    def __init__(self, gauges: Callable[[], Iterator[Metric]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        return self._gauges()
