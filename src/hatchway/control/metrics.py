"""What a control plane's process counts and measures, for Prometheus."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import event

from hatchway.access.authentication import SignatureError
from hatchway.access.authorization import AccessDenied
from hatchway.control.concurrency import TooManyCalls
from hatchway.control.services import DIALECTS
from hatchway.control.threads import Threads
from hatchway.pki.certificates import PkiProblem, expiry
from hatchway.privileges import read_as_owner
from hatchway.protocol import ServiceError
from hatchway.store import Leadership, LeadershipLost, Store, explain

NO_OPERATION: Final = "none"
"""The operation of a request that did not come so far as to be one of those that there are."""
OTHER_SERVICE: Final = "other"
"""The service of a call of one that is not here."""
OUTCOMES: Final = ("ok", "refused", "denied", "not_authenticated", "throttled", "unavailable", "failed")

_THROTTLED: Final = frozenset(dialect.throttled for dialect in DIALECTS.values())
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def outcome(problem: Exception | None) -> str:
    """The class of what came of a call, one of `OUTCOMES`."""
    match problem:
        case None:
            return "ok"
        case SignatureError():
            return "not_authenticated"
        case AccessDenied():
            return "denied"
        case TooManyCalls():
            return "throttled"
        case ServiceError():
            # All of its permissions were there, and it was not to be done.
            if problem.code == "DryRunOperation":
                return "ok"
            if problem.code in _THROTTLED:
                return "throttled"
            return "unavailable" if problem.status == 503 else "refused"
        case _:
            return "failed" if explain(problem) is None else "unavailable"


class ControlMetrics:
    """One process's. Names carry their units; all begin with `hatchway_`. Thread-safe.

    Attributes:
        is_ready: whether the process serves; false until somebody says so.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.is_ready = False
        self._calls = Counter(
            "hatchway_api_calls",
            f"API calls, by outcome: {', '.join(OUTCOMES)}; the operation is {NO_OPERATION}"
            " if the request was not read that far.",
            ["service", "operation", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "hatchway_api_call_seconds",
            "Time from a call's turn to its answer, with its audit record, without waiting, body and TLS.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._statements = Counter(
            "hatchway_store_statements", "Statements sent to the store.", registry=registry
        )
        self._job_time = Gauge(
            "hatchway_housekeeping_last_success_timestamp_seconds",
            "When each housekeeping task last succeeded in this process.",
            ["task"],
            registry=registry,
        )
        self._job_seconds = Gauge(
            "hatchway_housekeeping_last_duration_seconds",
            "How long each housekeeping task took the last time.",
            ["task"],
            registry=registry,
        )
        self._job_failures = Counter(
            "hatchway_housekeeping_failures",
            "How often each housekeeping task failed.",
            ["task"],
            registry=registry,
        )
        self._live = _Live(_families())
        registry.register(self._live)
        ProcessCollector(registry=registry)

    def answered(self, service: str, operation: str | None, problem: Exception | None) -> None:
        """A call was answered, or refused for this reason."""
        self._calls.labels(service, operation or NO_OPERATION, outcome(problem)).inc()

    def took(self, seconds: float) -> None:
        """A call that had a turn took so long."""
        self._seconds.observe(seconds)

    def timed(self, job: str, run: Callable[[], object]) -> Callable[[], object]:
        """The same job, watched."""

        def watched() -> object:
            began = time.monotonic()
            try:
                done = run()
            except LeadershipLost:
                raise
            except Exception:
                self._job_failures.labels(job).inc()
                raise
            self._job_seconds.labels(job).set(time.monotonic() - began)
            self._job_time.labels(job).set_to_current_time()
            return done

        return watched

    def watch_store(self, store: Store, most: int) -> None:
        """Count the statements of a store, and its connections, of which there may be so many."""
        event.listen(store.engine, "before_cursor_execute", lambda *_: self._statements.inc())
        pool: Any = store.engine.pool
        self._live.add("hatchway_store_connections", ("in_use",), pool.checkedout)
        self._live.add("hatchway_store_connections", ("idle",), pool.checkedin)
        self._live.add("hatchway_store_connections_limit", (), lambda: most)

    def watch_threads(self, kind: str, threads: Threads) -> None:
        """Tell how many of what such threads do is under way, and how much waits for one."""
        self._live.add("hatchway_api_requests", (kind, "running"), lambda: threads.running)
        self._live.add("hatchway_api_requests", (kind, "waiting"), lambda: threads.waiting)

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Tell how many connections there are."""
        self._live.add("hatchway_api_connections", (), count)

    def watch_certificates(self, **files: Path) -> None:
        """Tell when the first certificate in each of these files expires, as it is then, if it has one."""
        for name, path in files.items():
            self._live.add("hatchway_certificate_expiry_timestamp_seconds", (name,), partial(_expiry, path))

    def watch_export(self, store: Store, clock: Callable[[], datetime]) -> Callable[[], None]:
        """Tell how far the audit file is behind the store, as of the last time that what this returns was
        called."""
        lag = 0.0

        def look() -> None:
            nonlocal lag
            with store.read() as tx:
                due = tx.audit_records.oldest_unexported()
            lag = 0.0 if due is None else max(0.0, (clock() - due).total_seconds())

        self._live.add("hatchway_audit_export_lag_seconds", (), lambda: lag)
        return look

    def watch_leadership(self, leadership: Leadership, role: str) -> None:
        """Tell whether this process has that role."""
        self._live.add("hatchway_leader", (role,), partial(leadership.leads, role))

    def watch_audit_file(self, is_failing: Callable[[], bool]) -> None:
        """Tell whether the audit file here could be written the last time that this was tried."""
        self._live.add("hatchway_audit_file_writable", (), lambda: 0 if is_failing() else 1)

    def watch_signing_keys(
        self, good_until: Callable[[], datetime | None], unopened: Callable[[], int]
    ) -> None:
        """Tell until when gateways have signing keys, and how many access keys can have none."""

        def until() -> float | None:
            moment = good_until()
            return None if moment is None else moment.timestamp()

        self._live.add("hatchway_signing_keys_expiry_timestamp_seconds", (), until)
        self._live.add("hatchway_access_keys_unopened", (), unopened)


def _expiry(path: Path) -> float | None:
    try:
        return expiry(read_as_owner(path)).timestamp()
    except (OSError, PkiProblem):
        return None


def _families() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield "hatchway_api_connections", "Client connections whose TLS handshake is complete.", ()
    yield (
        "hatchway_api_requests",
        "AWS clients' calls, hosts' key look-ups and other requests: those in progress, and those waiting"
        " for a thread.",
        ("kind", "state"),
    )
    yield "hatchway_store_connections", "Connections to the store.", ("state",)
    yield "hatchway_store_connections_limit", "The maximum number of connections to the store.", ()
    yield (
        "hatchway_leader",
        "1 if this process does what only one process does: housekeeping, or the audit file.",
        ("role",),
    )
    yield (
        "hatchway_audit_export_lag_seconds",
        "Age of the oldest event in the store that is not in the audit file yet, measured every 15 s; 0 if"
        " there is none.",
        (),
    )
    yield (
        "hatchway_audit_file_writable",
        "1 if this control plane can write its audit file, as far as it has tried; 0 if not, so that another"
        " control plane writes its own.",
        (),
    )
    yield (
        "hatchway_certificate_expiry_timestamp_seconds",
        "When the API's certificate and the private CA's certificate expire.",
        ("certificate",),
    )
    yield (
        "hatchway_signing_keys_expiry_timestamp_seconds",
        "The end of the last day for which gateways have all signing keys; then they refuse everybody.",
        (),
    )
    yield (
        "hatchway_access_keys_unopened",
        "Access keys whose secrets cannot be decrypted, so that gateways refuse them.",
        (),
    )


class _Live(Collector):
    """Gauges with the values that they have when Prometheus asks; one that has none is left out."""

    def __init__(self, families: Iterable[tuple[str, str, tuple[str, ...]]]) -> None:
        self._families = list(families)
        self._values: dict[str, dict[tuple[str, ...], Callable[[], float | None]]] = {
            name: {} for name, _, _ in self._families
        }
        self._lock = threading.Lock()

    def add(self, name: str, labels: tuple[str, ...], value: Callable[[], float | None]) -> None:
        with self._lock:
            self._values[name][labels] = value

    def collect(self) -> Iterator[Metric]:
        for name, meaning, label_names in self._families:
            family = GaugeMetricFamily(name, meaning, labels=label_names)
            with self._lock:
                values = dict(self._values[name])
            for labels, value in values.items():
                if (now := value()) is not None:
                    family.add_metric(labels, now)
            yield family
