"""`hatchway serve` with a collector of traces, without one, and with one not to be had (docs/traces.md)."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.cli.conftest import Installed, Serve, alice_s_client, create_endpoint
from tests.tracing.collector import SERVER, Collector, collector

from hatchway.domain.public_key import parse_public_key

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2eXz0dSx8m7sPVoPK3gqbWZ6ZjTyCU8Vy0vHW3yTrd pushed"


def make_calls(installed: Installed) -> None:
    """Three that succeed, and one that fails."""
    ec2, connect = (alice_s_client(installed, service) for service in ("ec2", "ec2-instance-connect"))
    create_endpoint(installed)
    connect.send_ssh_public_key(InstanceId="i-0123456789abcdef0", InstanceOSUser="ec2-user", SSHPublicKey=KEY)
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        ec2.describe_instances(InstanceIds=["i-00000000000000bad"])


@pytest.fixture
def told() -> Iterator[Collector]:
    with collector() as made:
        yield made


def with_variables(installed: Installed, variables: Mapping[str, str]) -> Installed:
    return replace(installed, variables={**installed.variables, **variables})


def logged(installed: Installed) -> list[dict[str, Any]]:
    """What the server has logged, which must be nothing but events."""
    return [
        json.loads(line) for line in (installed.directory.parent / "server-0.log").read_text().splitlines()
    ]


def test_calls_and_tunnels_are_told_of_and_nothing_that_lets_anybody_in(
    installed: Installed, serve: Serve, told: Collector
) -> None:
    server = serve(with_variables(installed, told.variables))
    made = installed.run("access-key", "create", "alice", "--profile", "alice")
    assert made.returncode == 0, made.stderr
    make_calls(installed)
    tunnel = installed.run("open-tunnel", "--profile", "alice", "--instance-id", "i-0123456789abcdef0")
    assert "Unable to connect to target" in tunnel.stderr
    (opening,) = told.wait_for("OpenTunnel")
    assert server.stop() == 0

    (created,) = told.named("EC2.CreateInstanceConnectEndpoint")
    assert created.kind == SERVER
    assert created.resource["service.name"] == "hatchway-control"
    assert created.ended > created.began
    request_id = created.attributes["aws.request_id"]
    assert created.attributes == {
        "aws.request_id": request_id,
        "client.address": "127.0.0.1",
        "hatchway.principal.arn": "arn:aws:iam::123456789012:user/alice",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "rpc.method": "CreateInstanceConnectEndpoint",
        "rpc.service": "EC2",
        "rpc.system": "aws-api",
        "user_agent.original": created.attributes["user_agent.original"],
    }
    assert created.attributes["user_agent.original"].startswith("Botocore/")
    failed = [span for span in told.named("EC2.DescribeInstances") if "error.type" in span.attributes]
    assert [span.attributes["error.type"] for span in failed] == ["InvalidInstanceID.NotFound"]
    assert not failed[0].failed
    assert told.named("EC2 Instance Connect.SendSSHPublicKey")
    assert opening.resource["service.name"] == "hatchway-gateway"

    # Logs and audit trail join up with them.
    log = logged(installed)
    (line,) = (line for line in log if line.get("operation") == "CreateInstanceConnectEndpoint")
    assert (line["trace_id"], line["request_id"]) == (created.trace_id, request_id)
    opened = [line for line in log if line["event"] in ("tunnel opened", "tunnel closed")]
    assert [line["trace_id"] for line in opened] == [opening.trace_id] * 2
    events = [json.loads(text) for text in (installed.directory / "audit.jsonl").read_text().splitlines()]
    recorded = {(event["eventName"], event["requestID"]) for event in events}
    assert ("CreateInstanceConnectEndpoint", request_id) in recorded
    assert ("OpenTunnel", opening.attributes["aws.request_id"]) in recorded

    credentials = Path(installed.variables["AWS_SHARED_CREDENTIALS_FILE"]).read_text()
    words = [line.rpartition(" = ")[2] for line in credentials.splitlines() if " = " in line]
    secrets = [*words, KEY.split()[1], parse_public_key(KEY).fingerprint, "X-Amz-", "Signature"]
    assert len(words) == 2
    sent = b"".join(told.bodies)
    assert [secret for secret in secrets if secret.encode() in sent] == []


def test_a_stranger_is_told_of_no_more_than_he_is_recorded(
    installed: Installed, serve: Serve, told: Collector
) -> None:
    server = serve(with_variables(installed, told.variables))
    context = ssl.create_default_context(cafile=installed.directory / "ca.pem")
    address = server.urls["api"].removeprefix("https://")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    statuses = set()
    with closing(http.client.HTTPSConnection(address, context=context, timeout=30)) as connection:
        for _ in range(200):
            connection.request("POST", "/", "Action=DescribeVpcs&Version=2016-11-15", form)
            answer = connection.getresponse()
            answer.read()
            statuses.add(answer.status)
    # Who fails too often is not looked into any more.
    assert statuses == {401, 429}
    assert server.stop() == 0
    events = [json.loads(text) for text in (installed.directory / "audit.jsonl").read_text().splitlines()]
    recorded = [event for event in events if event.get("errorCode") == "Client.AuthFailure"]
    assert len(told.named("EC2._OTHER")) == len(recorded) < 200
    assert {span.attributes["aws.request_id"] for span in told.named("EC2._OTHER")} == {
        event["requestID"] for event in recorded
    }


def test_what_is_not_asked_for_is_not_imported(
    installed: Installed, serve: Serve, told: Collector, tmp_path: Path
) -> None:
    profiled = with_variables(installed, {"PYTHONPROFILEIMPORTTIME": "1"})
    assert serve(profiled, programs=True).stop() == 0
    assert serve(with_variables(profiled, told.variables), programs=True).stop() == 0
    without, asked_for = ((tmp_path / f"server-{number}.log").read_text() for number in (0, 1))
    for plane in (
        "hatchway.gateway.lifecycle",
        "hatchway.control.application",
        "hatchway.tracing.configuration",
    ):
        assert plane in without
    assert "opentelemetry" not in without
    assert asked_for.count(" hatchway.tracing.spans\n") == 2


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "install hatchway[otel]"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "max_queue_size must be a positive integer"),
    ],
)
def test_traces_that_cannot_be_had_are_told_of_at_the_start_and_it_serves_all_the_same(
    installed: Installed, serve: Serve, told: Collector, variables: dict[str, str], says: str
) -> None:
    if not variables:
        shadow = installed.directory.parent / "shadow"
        shadow.mkdir()
        missing = "raise ModuleNotFoundError('No module named opentelemetry', name='opentelemetry')\n"
        (shadow / "opentelemetry.py").write_text(missing)
        variables = {"PYTHONPATH": str(shadow)}
    told_where = with_variables(installed, {**told.variables, **variables})
    # What is in PYTHONPATH, Python looks at when it begins.
    assert serve(told_where, programs=True).stop() == 0
    warnings = [line for line in logged(installed) if line["event"] == "no traces"]
    assert [says in line["problem"] for line in warnings] == [True, True]
    assert not told.bodies
