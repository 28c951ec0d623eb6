"""Runs the scenario: each step through the real API and real tunnels, as a user would."""

import contextlib
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.discovery.discovery import push_key
from hatchway.client.errors import ApiError
from hatchway.demo import scenario
from hatchway.demo.environment import Environment
from hatchway.demo.scenario import CreateEndpoint, OpenTunnel, RunCommand
from hatchway.errors import CommandFailed
from hatchway.store.tables import audit_records

_STEP_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_AUDIT_SECONDS: Final = 10.0
_ENCODED: Final = re.compile(r"(?<=Encoded authorization failure message: )(\S{12})\S+")
_PREFIX: Final = "hatchway: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step, and what the user was told. `why` is what the audit trail adds to a refusal."""

    allowed: bool
    message: str
    why: str = ""


class Runner:
    """One run of the scenario. Steps depend on those before them."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._known_hosts = environment.directory / "known_hosts"
        known_hosts = environment.known_hosts.items()
        self._known_hosts.write_text(
            "".join(f"{instance} {key}\n" for instance, key in known_hosts), encoding="ascii"
        )
        subnet = environment.subnets[scenario.ALLOWED_SUBNET]
        environment.grant("alice", "endpoints-in-one-subnet", scenario.policy_for_endpoints(subnet))

    def run(self, user: str, action: CreateEndpoint | RunCommand | OpenTunnel) -> Outcome:
        """Does it, as the user."""
        match action:
            case CreateEndpoint():
                outcome = self._create_endpoint(user, action)
            case RunCommand():
                outcome = self._run_command(user, action)
            case OpenTunnel():
                outcome = self._open_tunnel(user, action)
        return outcome if outcome.allowed else replace(outcome, why=self._why(user))

    def events(self, ended: int) -> list[dict[str, Any]]:
        """The audit trail, once it tells of so many tunnels' ends."""
        end = time.monotonic() + _AUDIT_SECONDS
        while True:
            with self._environment.store.read() as tx:
                records = tx.audit_records.find(order=(audit_records.c.event_time,))
            closed = sum(record.event_name == "CloseTunnel" for record in records)
            if closed >= ended or time.monotonic() > end:
                return [json.loads(record.body) for record in records]
            time.sleep(0.1)

    def _why(self, user: str) -> str:
        """What in the user's policies did not fit, from the decision that was recorded last."""
        with self._environment.store.read() as tx:
            records = tx.audit_records.find(
                user_name=user, order=(audit_records.c.event_time.desc(),), limit=1
            )
        for record in records:
            additional = json.loads(record.body).get("additionalEventData", {})
            decision = additional.get("decision") or {}
            # Evaluation stops at the check that refuses, so it is the last.
            misses = [miss for check in decision.get("checks", [])[-1:] for miss in check["nearMisses"]]
            return "; ".join(miss["why"] for miss in misses)
        return ""

    def _create_endpoint(self, user: str, action: CreateEndpoint) -> Outcome:
        ec2 = self._environment.api(user, "ec2")
        try:
            made = ec2.create_instance_connect_endpoint(SubnetId=self._environment.subnets[action.subnet])
        except ClientError as refused:
            error = refused.response["Error"]
            return Outcome(False, _shortened(f"{error['Code']}: {error['Message']}"))
        endpoint_id = made["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
        described = ec2.describe_instance_connect_endpoints(InstanceConnectEndpointIds=[endpoint_id])
        state = described["InstanceConnectEndpoints"][0]["State"]
        # The other two users' policies name this endpoint.
        port, os_user = self._environment.port, self._environment.os_user
        self._environment.grant("bob", "tunnels", scenario.policy_for_tunnels(endpoint_id, port, os_user))
        from_office = scenario.policy_for_the_office(endpoint_id, port, os_user)
        self._environment.grant("carol", "from-office", from_office)
        return Outcome(True, f"{endpoint_id} is {state}")

    def _run_command(self, user: str, action: RunCommand) -> Outcome:
        if self._environment.programs.ssh is None:
            return self._run_command_without_ssh(user, action)
        ssh_arguments = [
            *("-F", "none", "-o", "LogLevel=ERROR", "-o", "StrictHostKeyChecking=yes"),
            *("-o", f"UserKnownHostsFile={self._known_hosts}", "-o", "PreferredAuthentications=publickey"),
            scenario.COMMAND,
        ]
        options = ["--os-user", action.os_user or self._environment.os_user, *self._tunnel_options(action)]
        instance = self._environment.instances[action.host]
        done = _finish(_hatchway("ssh", instance, "--profile", user, *options, "--", *ssh_arguments))
        return Outcome(done.status == 0, done.output.strip() if done.status == 0 else done.sentence)

    def _run_command_without_ssh(self, user: str, action: RunCommand) -> Outcome:
        from hatchway.demo.python_ssh import ClientKey, run_command

        key = ClientKey.make()
        instance = self._environment.instances[action.host]
        os_user = action.os_user or self._environment.os_user
        try:
            push_key(Profile(ProfileOptions(profile=user)), instance, os_user, key.public)
        except ApiError as refused:
            return Outcome(False, str(refused))
        options = ["--instance-id", instance, "--local-port", "0", *self._tunnel_options(action)]
        tunnel = _hatchway("open-tunnel", "--profile", user, *options)
        try:
            assert tunnel.stdout is not None
            words = tunnel.stdout.readline().rstrip(".\n").split()
            if not words:
                return Outcome(False, _finish(tunnel).sentence)
            output = run_command(
                int(words[-1]),
                os_user=os_user,
                key=key,
                host_key=self._environment.known_hosts[instance],
                command=scenario.COMMAND,
            )
            return Outcome(True, output.strip())
        finally:
            tunnel.terminate()
            _finish(tunnel)

    def _open_tunnel(self, user: str, action: OpenTunnel) -> Outcome:
        """Reads what comes through the tunnel until that ends; sshd's greeting shows that it was open."""
        options = ["--instance-id", self._environment.instances[action.host], *self._tunnel_options(action)]
        tunnel = _hatchway("open-tunnel", "--profile", user, *options)
        assert tunnel.stdout is not None
        greeting = tunnel.stdout.readline()
        began = time.monotonic()
        done = _finish(tunnel)
        if greeting.startswith("SSH-"):
            return Outcome(True, f"{done.sentence} (after {time.monotonic() - began:.1f} seconds)")
        return Outcome(False, done.sentence)

    def _tunnel_options(self, action: RunCommand | OpenTunnel) -> list[str]:
        port = action.port if isinstance(action, OpenTunnel) and action.port else self._environment.port
        options = {
            "--remote-port": port,
            "--max-tunnel-duration": action.duration,
            "--source-address": action.source_address,
        }
        # A source address is one of 127.0.0.0/8: the gateway's name may lead to ::1 first.
        if action.source_address is not None:
            options["--gateway-address"] = "127.0.0.1"
        return [word for name, value in options.items() if value is not None for word in (name, str(value))]


@dataclass(frozen=True, slots=True)
class _Done:
    status: int
    output: str
    errors: str

    @property
    def sentence(self) -> str:
        """What the client was told: the first line that our own command said."""
        lines = [line.removeprefix(_PREFIX) for line in self.errors.splitlines() if line.startswith(_PREFIX)]
        return _shortened(lines[0] if lines else self.errors.strip() or f"exit status {self.status}")


def _hatchway(*arguments: str) -> "subprocess.Popen[str]":
    """A command of ours. Its standard input is a pipe that stays open: no tunnel is ended from this side."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "hatchway", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: "subprocess.Popen[str]") -> _Done:
    """What it said, when it has ended; it is ended when that takes too long or the demo is interrupted.

    Raises:
        CommandFailed: it took too long.
    """
    held, process.stdin = process.stdin, None
    try:
        output, errors = process.communicate(timeout=_STEP_SECONDS)
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"a step did not end within {_STEP_SECONDS:.0f} seconds") from late
    finally:
        if process.poll() is None:
            # Asked first: ssh's command has a key to remove.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
        if held is not None:
            held.close()
    return _Done(process.returncode, output, errors)


def _shortened(sentence: str) -> str:
    """Without most of the encoded message, which is of no use to whoever watches."""
    return _ENCODED.sub(r"\1…", sentence)
