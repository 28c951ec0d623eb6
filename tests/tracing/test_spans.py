"""Spans on their way to a collector, in this process."""

import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.tracing.collector import Collector, collector, wait_until

from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.tracing import tracing
from hatchway.tracing.spans import Traces


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as made:
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        yield made


def tell(traces: Traces, name: str = "call") -> None:
    traces.end(traces.begin(name, {}, began=traces.now()), ended=traces.now())


def test_text_that_is_no_unicode_costs_no_other_span(told: Collector) -> None:
    with tracing("control", os.environ) as traces:
        assert traces is not None
        span = traces.begin(
            "hostile", {"user_agent.original": "\ud800é", "rpc.method": "\udfff"}, began=traces.now()
        )
        traces.end(span, {"error.type": "\ud800"}, ended=traces.now())
        tell(traces, "harmless")
    (hostile, _) = told.wait_for("hostile") + told.wait_for("harmless")
    assert hostile.attributes == {"user_agent.original": "?é", "rpc.method": "?", "error.type": "?"}


def test_the_process_is_named_by_its_plane_unless_the_environment_names_it(
    told: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracing("control", os.environ) as traces:
        assert traces is not None
        tell(traces, "own")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "access")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with tracing("control", os.environ) as traces:
        assert traces is not None
        tell(traces, "given")
    own, given = told.wait_for("own")[0].resource, told.wait_for("given")[0].resource
    assert own["service.name"] == "hatchway-control"
    assert given["service.name"] == "access"
    assert given["deployment.environment.name"] == "test"
    assert own["hatchway.plane"] == given["hatchway.plane"] == "control"
    assert own["service.version"]


def test_spans_beyond_the_queue_are_dropped_and_nobody_waits(
    told: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")
    told.may_answer.clear()
    with tracing("gateway", os.environ) as traces:
        assert traces is not None
        for _ in range(500):
            tell(traces)
        assert not told.bodies
        told.may_answer.set()
    assert 0 < len(told.named("call")) <= 20


def test_a_collector_that_takes_nothing_is_told_of_once_and_again_when_it_does(
    told: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As some collectors have it: what stands in the URL is a credential.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", told.url + "/s3cr3t")
    told.status = 401
    with capture_logs() as logs, tracing("gateway", os.environ) as traces:
        assert traces is not None
        for _ in range(3):
            answers = told.answers + 1
            tell(traces)
            wait_until(lambda: told.answers == answers, lambda: "the collector was not asked")  # noqa: B023
        told.status = 200
        tell(traces, "heard")
        told.wait_for("heard")
        wait_until(lambda: len(logs) > 1, lambda: f"{logs}")
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("traces are not exported", "warning"),
        ("traces are exported again", "info"),
    ]
    assert logs[0]["problem"] == "HTTP status 401"
    assert [line["spans_lost"] for line in logs] == [1, 3]
    assert "s3cr3t" not in str(logs)


def test_a_collector_with_a_ca_of_its_own_is_believed_by_that_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    authority, stranger = (create_ca(name, ["localhost"], now) for name in ("theirs", "another"))
    pair = issue_server_certificate(authority, ["localhost"], now)
    for name, content in (
        ("server.pem", pair.certificate + pair.key),
        ("ca.pem", authority.certificate),
        ("another.pem", stranger.certificate),
    ):
        (tmp_path / name).write_bytes(content)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    # What a machine may have set for everything else.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "another.pem"))
    with collector(tls) as told, capture_logs() as logs:
        for name, value in told.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        with tracing("control", os.environ) as traces:
            assert traces is not None
            tell(traces, "unproved")
            wait_until(lambda: bool(logs), lambda: "no failure was told of")
        assert logs[0]["problem"] == "SSLCertVerificationError"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
        with tracing("control", os.environ) as traces:
            assert traces is not None
            tell(traces, "proved")
            told.wait_for("proved")
        assert not told.named("unproved")
