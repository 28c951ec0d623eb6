"""What a control plane tells Prometheus, and that the alerts about it ask for nothing else."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.control.harness import INSTANCE, World, refused

from hatchway.audit.export import Export
from hatchway.control.housekeeping.housekeeper import Task
from hatchway.control.metrics import ControlMetrics, outcome
from hatchway.control.threads import Threads
from hatchway.protocol import ServiceError
from hatchway.store import Leadership

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_PROMETHEUS = {"job", "instance", "le", "exported_job", "exported_instance"}
"""Labels that Prometheus gives what it asks: a metric of ours would lose its own of that name."""


def samples(metrics: ControlMetrics) -> dict[str, float]:
    """Each sample by its name and its labels' values, with colons between."""
    return {
        ":".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
    }


def test_calls_are_counted_by_operation_and_by_what_came_of_them(world: World) -> None:
    nobody = world.user("nobody")
    world.client("sts").get_caller_identity()
    world.client("sts").get_caller_identity()
    assert refused(world.client("ec2", nobody).describe_vpcs) == ("UnauthorizedOperation", 403)
    assert refused(lambda: world.client("iam").get_user(UserName="gone")) == ("NoSuchEntity", 404)
    assert refused(lambda: world.client("ec2").describe_vpcs(DryRun=True)) == ("DryRunOperation", 412)
    assert world.send("POST", "/", {"Content-Type": "x"}, b"Action=Nothing", service="iam").status == 415
    assert world.send("POST", "/", service="sts", region="elsewhere").status == 403
    assert world.send("POST", "/", service="s3").status >= 400
    now = samples(world.plane.metrics)
    told = {name.partition(":")[2]: value for name, value in now.items() if "api_calls_total" in name}
    assert told == {
        "GetCallerIdentity:ok:sts": 2,
        "DescribeVpcs:denied:ec2": 1,
        "DescribeVpcs:ok:ec2": 1,
        "GetUser:refused:iam": 1,
        "none:refused:iam": 1,
        "none:not_authenticated:sts": 1,
        "none:refused:other": 1,
    }
    assert now["hatchway_api_call_seconds_count"] == 7
    assert now["hatchway_api_requests:call:running"] == now["hatchway_api_requests:call:waiting"] == 0


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (ServiceError("Throttling", "", status=429), "throttled"),
        (ServiceError("RequestLimitExceeded", "", status=503), "throttled"),
        (ServiceError("ServiceUnavailable", "", status=503), "unavailable"),
        (KeyError("of ours"), "failed"),
    ],
)
def test_who_is_to_wait_who_is_to_try_again_and_what_is_our_fault_are_told_apart(
    problem: Exception, expected: str
) -> None:
    assert outcome(problem) == expected


def test_statements_and_connections_of_the_store_are_told(world: World) -> None:
    metrics = ControlMetrics()
    metrics.watch_store(world.store, 38)
    before = samples(metrics)
    with world.store.read() as tx:
        tx.instances.get(INSTANCE)
        now = samples(metrics)
    in_use = "hatchway_store_connections:in_use"
    assert now[in_use] - samples(metrics)[in_use] == 1
    assert now["hatchway_store_statements_total"] - before["hatchway_store_statements_total"] == 1
    assert now["hatchway_store_connections_limit"] == 38


def test_a_call_by_somebody_who_is_known_takes_four_statements(world: World) -> None:
    metrics = ControlMetrics()
    metrics.watch_store(world.store, 1)
    sts = world.client("sts")
    sts.get_caller_identity()
    before = samples(metrics)["hatchway_store_statements_total"]
    sts.get_caller_identity()
    # Whether anything has changed, the record, what it is found by, and that the audit file lacks it.
    assert samples(metrics)["hatchway_store_statements_total"] - before == 4


def test_a_job_tells_when_it_last_succeeded_and_how_often_it_failed() -> None:
    metrics = ControlMetrics()
    task = Task("tidy", 1, lambda: 7)
    began = datetime.now(UTC).timestamp()
    assert metrics.timed(task.name, task.run)() == 7

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError):
        metrics.timed("tidy", fail)()
    now = samples(metrics)
    assert now["hatchway_housekeeping_last_success_timestamp_seconds:tidy"] >= began
    assert now["hatchway_housekeeping_last_duration_seconds:tidy"] >= 0
    assert now["hatchway_housekeeping_failures_total:tidy"] == 1


def test_what_expires_tells_when_and_a_file_that_is_not_there_nothing(world: World, tmp_path: Path) -> None:
    metrics = ControlMetrics()
    metrics.watch_certificates(api=world.shared_server.certificate, ca=tmp_path / "none.pem")
    until = datetime(2026, 12, 1, tzinfo=UTC)
    metrics.watch_signing_keys(lambda: until, lambda: 2)
    now = samples(metrics)
    assert now["hatchway_certificate_expiry_timestamp_seconds:api"] > datetime.now(UTC).timestamp()
    assert "hatchway_certificate_expiry_timestamp_seconds:ca" not in now
    assert now["hatchway_signing_keys_expiry_timestamp_seconds"] == until.timestamp()
    assert now["hatchway_access_keys_unopened"] == 2


def test_how_far_the_audit_file_is_behind_is_told(world: World, tmp_path: Path) -> None:
    metrics = ControlMetrics()
    look = metrics.watch_export(world.store, lambda: world.clock() + timedelta(hours=1))
    world.client("sts").get_caller_identity()
    look()
    assert samples(metrics)["hatchway_audit_export_lag_seconds"] >= 3600
    Export(world.store, tmp_path / "audit.jsonl").run()
    look()
    assert samples(metrics)["hatchway_audit_export_lag_seconds"] == 0


def test_who_leads_is_told(world: World) -> None:
    metrics = ControlMetrics()
    leadership = Leadership(world.store, {"housekeeping": "here"}, time.monotonic)
    metrics.watch_leadership(leadership, "housekeeping")
    assert samples(metrics)["hatchway_leader:housekeeping"] == 0
    leadership.look()
    assert samples(metrics)["hatchway_leader:housekeeping"] == 1
    leadership.resign()
    assert samples(metrics)["hatchway_leader:housekeeping"] == 0


def test_the_dashboard_and_the_alerts_ask_for_metrics_and_labels_that_there_are(
    world: World,
) -> None:
    metrics = ControlMetrics()
    metrics.answered("sts", "GetCallerIdentity", None)
    metrics.timed("tidy", lambda: None)()
    with pytest.raises(ValueError, match="x"):
        metrics.timed("tidy", lambda: int("x"))()
    metrics.watch_store(world.store, 1)
    metrics.watch_threads("call", Threads(1, share=1))
    metrics.watch_certificates(api=world.shared_server.certificate)
    metrics.watch_leadership(Leadership(world.store, {"a": "b"}, time.monotonic), "a")
    metrics.watch_export(world.store, world.clock)
    metrics.watch_signing_keys(lambda: None, lambda: 0)
    labels: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        own = set().union(*(sample.labels for sample in family.samples))
        assert family.name == "hatchway_api_call_seconds" or own.isdisjoint(OF_PROMETHEUS), family.name
        labels[family.name] = own
    (rules,) = [
        group["rules"]
        for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
        if group["name"] == "hatchway-control"
    ]
    dashboard = json.loads((DEPLOY / "grafana" / "hatchway-control.json").read_text())
    asked = [rule["expr"] for rule in rules]
    asked += [query["expr"] for panel in dashboard["panels"] for query in panel["targets"]]
    shown = set()
    for expression in asked:
        names = {
            name.removesuffix("_bucket").removesuffix("_total")
            for name in re.findall(r"\b(?:hatchway|process)_[a-z_]+", expression)
        }
        assert names <= labels.keys() | {"process_cpu_seconds"}, expression
        shown |= names
        by = set(", ".join(re.findall(r"\bby \(([^)]*)\)", expression)).split(", ")) - {""}
        assert by <= OF_PROMETHEUS.union(*(labels.get(name, set()) for name in names)), expression
    assert {name for name in labels if name.startswith("hatchway_")} <= shown, "each is shown"
