"""The official AWS CLI and OpenSSH reach a host through Hatchway, and are refused, as the policies say."""

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.e2e.aws import AwsCli
from tests.e2e.hatchway_server import (
    ACCOUNT,
    API_URL,
    DESCRIBE,
    DNS_NAME,
    ENDPOINT,
    ENDPOINT_ARN,
    OPEN_TUNNEL,
    PUSH_KEY,
    WEB_1,
    Hatchway,
    allow,
    policy,
)
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, make_key
from tests.e2e.waiting import wait_until

from hatchway.store import Store
from hatchway.store.tables import pushed_keys

MINUTE = timedelta(minutes=1)
NO_CHECKS = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]


@pytest.fixture(scope="module")
def enrolled_host(hatchway: Hatchway, web_host: Sshd) -> Sshd:
    """web-1, after its administrator has run the script that Hatchway made for it."""
    script = hatchway.command("host", "script", WEB_1, "--api-url", API_URL)
    web_host.machine.add_name(Network.GATEWAY, DNS_NAME)
    web_host.machine.write("/root/enroll.sh", script, mode=0o700)
    web_host.machine.run(["sh", "/root/enroll.sh"], check=True)
    web_host.reload()
    return web_host


@pytest.fixture(scope="module")
def alice(hatchway: Hatchway) -> AwsCli:
    return hatchway.user("alice", DESCRIBE, PUSH_KEY, OPEN_TUNNEL)


def eice_ssh(user: AwsCli, os_user: str, *command: str) -> subprocess.CompletedProcess[str]:
    """`aws ec2-instance-connect ssh`, which takes no command: it goes to the shell's standard input."""
    return user.run(
        "ec2-instance-connect", "ssh", "--instance-id", WEB_1, "--os-user", os_user,
        "--connection-type", "eice", input="".join(f"{line}\n" for line in command), timeout=90,
    )  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def ssh_asks_nothing(hatchway: Hatchway) -> None:
    """The CLI's own ssh cannot be told more than a configuration file says."""
    hatchway.machine.write(
        "/etc/ssh/ssh_config.d/test.conf",
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\nBatchMode yes\n",
    )


def test_a_shell_opens_on_a_host_without_a_public_address(enrolled_host: Sshd, alice: AwsCli) -> None:
    answer = eice_ssh(alice, "ec2-user", "hostname", "id -un")
    assert answer.stdout.split() == ["web-1", "ec2-user"], answer.stderr


def test_a_shell_opens_by_a_role_that_was_assumed_a_moment_ago(
    enrolled_host: Sshd, hatchway: Hatchway, alice: AwsCli
) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}}
    with hatchway.machine.joined():
        hatchway.iam.create_role(
            RoleName="on-call", AssumeRolePolicyDocument=policy(trust | {"Action": "sts:AssumeRole"})
        )
        hatchway.iam.put_role_policy(
            RoleName="on-call", PolicyName="only", PolicyDocument=policy(DESCRIBE, PUSH_KEY, OPEN_TUNNEL)
        )
    arn = f"arn:aws:iam::{ACCOUNT}:role/on-call"
    given = alice.json("sts", "assume-role", "--role-arn", arn, "--role-session-name", "alice")["Credentials"]
    on_call = alice.with_key(given["AccessKeyId"], given["SecretAccessKey"])
    answer = eice_ssh(on_call.having(AWS_SESSION_TOKEN=given["SessionToken"]), "ec2-user", "id -un")
    assert answer.stdout.split() == ["ec2-user"], answer.stderr
    (opened,) = hatchway.events("OpenTunnel", lambda event: event["userIdentity"]["type"] == "AssumedRole")
    assert opened["userIdentity"]["accessKeyId"] == given["AccessKeyId"]


def test_another_os_user_is_refused_a_key(enrolled_host: Sshd, alice: AwsCli) -> None:
    answer = eice_ssh(alice, "root", "id -un")
    assert answer.returncode != 0
    assert (
        "because no identity-based policy allows the ec2-instance-connect:SendSSHPublicKey" in answer.stderr
    )


def test_plain_ssh_goes_through_the_clis_tunnel(enrolled_host: Sshd, alice: AwsCli, tmp_path: Path) -> None:
    key = tmp_path / "key"
    enrolled_host.authorize("ec2-user", make_key(key))
    answer = ssh(alice, key, f"ec2-user@{WEB_1}", "echo $SSH_CONNECTION")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split()[2:] == ["10.0.1.1", "22"]


def ssh(user: AwsCli, key: Path, host: str, command: str) -> subprocess.CompletedProcess[str]:
    proxy = f"{user.program} ec2-instance-connect open-tunnel --instance-id %h"
    argv = ["ssh", *NO_CHECKS, "-i", str(key), "-o", f"ProxyCommand={proxy}", host, command]
    return user.machine.run(argv, env=user.full_environment, timeout=90)


def test_a_pushed_key_lets_its_holder_in_for_60_seconds_and_then_no_longer(
    enrolled_host: Sshd, hatchway: Hatchway, alice: AwsCli, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    make_key(key)
    destination = f"ec2-user@{WEB_1}"
    assert "Permission denied" in ssh(alice, key, destination, "true").stderr
    alice.run(
        "ec2-instance-connect", "send-ssh-public-key", "--instance-id", WEB_1, "--instance-os-user",
        "ec2-user", "--ssh-public-key", f"file://{key}.pub", check=True,
    )  # fmt: skip
    store = Store.open(f"sqlite:///{hatchway.directory}/data/hatchway.db")
    with closing(store):
        with store.write() as tx:
            end = max(tx._connection.execute(select(pushed_keys.c.expires_at)).scalars())
            assert timedelta() < end - datetime.now(UTC) <= MINUTE
            # A busy machine takes longer for what is done within them.
            tx._connection.execute(update(pushed_keys).values(expires_at=end + 10 * MINUTE))
        assert ssh(alice, key, destination, "echo in").stdout == "in\n"
        assert "Permission denied" in ssh(alice, key, f"root@{WEB_1}", "true").stderr
        # As if these seconds had gone by.
        with store.write() as tx:
            tx._connection.execute(update(pushed_keys).values(expires_at=end - MINUTE))
    assert "Permission denied" in ssh(alice, key, destination, "true").stderr


def test_50_megabytes_go_each_way_unharmed(enrolled_host: Sshd, alice: AwsCli, tmp_path: Path) -> None:
    key, sent, returned = tmp_path / "key", tmp_path / "sent", tmp_path / "returned"
    enrolled_host.authorize("ec2-user", make_key(key))
    digest = hashlib.sha256()
    with sent.open("wb") as file:
        for _ in range(50):
            block = os.urandom(1_000_000)
            digest.update(block)
            file.write(block)
    proxy = f"{alice.program} ec2-instance-connect open-tunnel --instance-id %h"
    copy = ["scp", *NO_CHECKS, "-i", str(key), "-o", f"ProxyCommand={proxy}"]
    there = f"ec2-user@{WEB_1}:/home/ec2-user/copy"
    alice.machine.run([*copy, str(sent), there], env=alice.full_environment, timeout=180, check=True)
    arrived = enrolled_host.machine.run(["sha256sum", "/home/ec2-user/copy"], check=True).stdout.split()[0]
    assert arrived == digest.hexdigest()
    alice.machine.run([*copy, there, str(returned)], env=alice.full_environment, timeout=180, check=True)
    assert hashlib.sha256(returned.read_bytes()).hexdigest() == digest.hexdigest()


# sshd ends a connection that begins like this: the CLI itself would never end, its standard input at an end.
def open_tunnel(user: AwsCli, *options: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return user.run(
        "ec2-instance-connect", "open-tunnel", "--instance-connect-endpoint-id", ENDPOINT, *options,
        timeout=timeout, input="no SSH client\n",
    )  # fmt: skip


def test_policy_2_opens_its_port_and_address_and_refuses_any_other(
    hatchway: Hatchway, enrolled_host: Sshd
) -> None:
    user = hatchway.user(
        "connects",
        DESCRIBE,
        allow(
            "ec2-instance-connect:OpenTunnel",
            ENDPOINT_ARN,
            NumericEquals={"ec2-instance-connect:remotePort": "22"},
            IpAddress={"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"},
            NumericLessThanEquals={"ec2-instance-connect:maxTunnelDuration": "600"},
        ),
    )
    allowed = ["--private-ip-address", "10.0.1.1", "--remote-port", "22", "--max-tunnel-duration", "600"]
    banner = open_tunnel(user, *allowed)
    assert banner.stdout.startswith("SSH-2.0-OpenSSH"), banner.stderr

    refused = (
        f"User: arn:aws:iam::{ACCOUNT}:user/connects is not authorized to perform: "
        f"ec2-instance-connect:OpenTunnel on resource: {ENDPOINT_ARN} because no identity-based policy "
        "allows the ec2-instance-connect:OpenTunnel action"
    )
    for option, value in [
        ("--remote-port", "23"),
        ("--private-ip-address", "10.0.1.2"),
        ("--max-tunnel-duration", "601"),
    ]:
        changed = list(allowed)
        changed[changed.index(option) + 1] = value
        answer = open_tunnel(user, *changed)
        assert answer.returncode != 0
        assert '"ErrorCode": "AccessDeniedException"' in answer.stderr + answer.stdout
        assert refused in answer.stderr + answer.stdout
    without_duration = open_tunnel(user, *allowed[:4])
    assert refused in without_duration.stderr + without_duration.stdout

    (refusal,) = hatchway.events(
        "OpenTunnel", lambda event: (event["requestParameters"] or {}).get("remotePort") == "23"
    )
    assert refusal["errorCode"] == "AccessDeniedException"
    (check,) = refusal["additionalEventData"]["decision"]["checks"]
    (why,) = [miss["why"] for miss in check["nearMisses"]]
    assert why == "Condition NumericEquals ec2-instance-connect:remotePort: request 23, policy 22"


def test_policy_3_refuses_whoever_calls_from_elsewhere(
    hatchway: Hatchway, enrolled_host: Sshd, tmp_path: Path
) -> None:
    def users_policy(name: str, cidr: str) -> AwsCli:
        source = {"aws:SourceIp": cidr}
        return hatchway.user(
            name,
            DESCRIBE,
            allow("ec2-instance-connect:OpenTunnel", ENDPOINT_ARN, IpAddress=source),
            allow("ec2-instance-connect:SendSSHPublicKey", IpAddress=source),
        )

    options = ["--private-ip-address", "10.0.1.1", "--remote-port", "22"]
    here, elsewhere = users_policy("here", "127.0.0.0/8"), users_policy("elsewhere", "192.0.2.0/24")
    assert open_tunnel(here, *options).stdout.startswith("SSH-2.0")
    answer = open_tunnel(elsewhere, *options)
    assert "AccessDeniedException" in answer.stderr + answer.stdout
    push = elsewhere.run(
        "ec2-instance-connect", "send-ssh-public-key", "--instance-id", WEB_1, "--instance-os-user",
        "ec2-user", "--ssh-public-key", make_key(tmp_path / "key"),
    )  # fmt: skip
    assert "AuthException" in push.stderr


def test_a_tunnel_is_cut_when_its_duration_is_reached(
    hatchway: Hatchway, enrolled_host: Sshd, alice: AwsCli, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    enrolled_host.authorize("ec2-user", make_key(key))
    proxy = f"{alice.program} ec2-instance-connect open-tunnel --instance-id %h --max-tunnel-duration 3"
    argv = [
        "ssh",
        *NO_CHECKS,
        "-i",
        str(key),
        "-o",
        f"ProxyCommand={proxy}",
        f"ec2-user@{WEB_1}",
        "sleep 300",
    ]
    answer = alice.machine.run(argv, env=alice.full_environment, timeout=90)
    assert answer.returncode == 255
    assert "Websocket Closure Reason: Tunnel reached its maximum duration of 3 seconds" in answer.stderr
    (closed,) = hatchway.events(
        "CloseTunnel", lambda event: event["requestParameters"]["maxTunnelDuration"] == "3"
    )
    assert closed["additionalEventData"]["closeCode"] == 4001


def test_a_local_port_carries_several_connections_at_once(
    hatchway: Hatchway, enrolled_host: Sshd, alice: AwsCli, tmp_path: Path
) -> None:
    listening = alice.machine.start(
        [
            str(alice.program), "ec2-instance-connect", "open-tunnel", "--instance-id", WEB_1,
            "--local-port", "15022",
        ],
        tmp_path / "listener.log",
        env=alice.full_environment,
    )  # fmt: skip
    # What it says of listening stays in its buffer, since this is no terminal.
    wait_until(lambda: "15022" in alice.machine.run(["ss", "-Hltn"]).stdout, 60, listening.output)
    greet = 'exec 3<>/dev/tcp/127.0.0.1/15022; read -r line <&3; echo "$line"; sleep 1'
    script = " & ".join(f"({greet})" for _ in range(4)) + " & wait"
    answer = alice.machine.run(["bash", "-c", script], timeout=90)
    listening.stop()
    assert answer.stdout.count("SSH-2.0-OpenSSH") == 4, answer.stderr


def test_a_host_is_reached_over_ipv6(enrolled_host: Sshd, alice: AwsCli) -> None:
    answer = open_tunnel(alice, "--private-ip-address", "fd00:10:0:1::1", "--remote-port", "22")
    assert answer.stdout.startswith("SSH-2.0-OpenSSH"), answer.stderr


def test_a_port_where_nobody_listens_reads_as_in_aws(enrolled_host: Sshd, alice: AwsCli) -> None:
    answer = open_tunnel(alice, "--private-ip-address", "10.0.1.1", "--remote-port", "24")
    assert answer.returncode != 0
    assert "Websocket Closure Reason: Unable to connect to target" in answer.stderr


SPEAKS_FOR_A_WHILE = """
import socket, sys, time
with socket.create_server(("10.0.1.1", 2200)) as listening:
    print("listening", flush=True)
    sock, _ = listening.accept()
    for number in range(15):
        sock.sendall(b"line %d\\n" % number)
        time.sleep(0.1)
    sock.close()
"""


def test_a_tunnel_lives_on_after_its_standard_input_has_ended(
    web_host: Sshd, alice: AwsCli, tmp_path: Path
) -> None:
    # It sends empty frames without end meanwhile.
    speaking = web_host.machine.start([sys.executable, "-c", SPEAKS_FOR_A_WHILE], tmp_path / "speaking.log")
    wait_until(lambda: "listening" in speaking.output(), 60, speaking.output)
    answer = alice.run(
        "ec2-instance-connect", "open-tunnel", "--instance-connect-endpoint-id", ENDPOINT,
        "--private-ip-address", "10.0.1.1", "--remote-port", "2200", timeout=90, input="",
    )  # fmt: skip
    speaking.stop()
    assert answer.stdout == "".join(f"line {number}\n" for number in range(15)), answer.stderr
    # Its own runtime may abort as it ends on a busy machine, everything having been delivered.
    assert answer.returncode in (0, -signal.SIGABRT), answer.stderr
