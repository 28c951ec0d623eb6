"""The machines that end-to-end tests run on: what is done inside is not seen outside, and nothing is left."""

import datetime
import errno
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.e2e.aws import REPOSITORY, AwsCli
from tests.e2e.machines import PRIVATE_DIRECTORIES
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, make_key
from tests.e2e.outside import look_outside, processes_in
from tests.e2e.waiting import free_port, wait_until


@pytest.fixture
def short_lived(network: Network, tmp_path: Path) -> Iterator[Network]:
    """A second network, which the test may stop."""
    layers = tmp_path / "machines"
    layers.mkdir()
    with Network(layers) as another:
        yield another


@pytest.mark.parametrize("directory", [*PRIVATE_DIRECTORIES, "/run"])
def test_what_a_machine_writes_is_not_seen_outside(short_lived: Network, directory: str) -> None:
    machine = short_lived.machine("db-1", "10.0.1.2")
    path = f"{directory}/hatchway-harness-test"
    machine.write(path, "inside\n")
    assert machine.read(path) == "inside\n"
    assert not Path(path).exists()


def test_a_machine_has_its_own_name_users_and_processes(short_lived: Network) -> None:
    machine = short_lived.machine("db-1", "10.0.1.2")
    machine.run(["useradd", "--create-home", "harness-test"], check=True)
    assert machine.run(["id", "-un", "harness-test"]).stdout == "harness-test\n"
    assert machine.run(["cat", "/proc/sys/kernel/hostname"]).stdout == "db-1\n"
    assert machine.run(["cat", "/proc/1/comm"]).stdout == "cat\n"
    assert "harness-test" not in Path("/etc/passwd").read_text()
    assert not Path("/home/harness-test").exists()


def test_a_machine_passes_on_nothing_of_the_environment(
    short_lived: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/outside.pem")
    assert "SSL_CERT_FILE" not in short_lived.gateway.run(["env"]).stdout
    assert "COLOUR=red\n" in short_lived.gateway.run(["env"], env={"COLOUR": "red"}).stdout


def test_a_stopped_network_leaves_no_process_mount_or_interface(
    network: Network, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.getbasetemp()
    before = look_outside(directory)
    layers = tmp_path / "machines"
    layers.mkdir()
    with Network(layers) as another:
        namespaces = another.machine("db-1", "10.0.1.2").namespaces | another.gateway.namespaces
        another.gateway.start(["sleep", "1000"], tmp_path / "sleep.log")
        another.gateway.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"], check=True)
        wait_until(lambda: len([line for line in processes_in(namespaces) if "sleep 1000" in line]) >= 2)
    wait_until(lambda: not processes_in(namespaces), message=lambda: f"{processes_in(namespaces)}")
    assert not look_outside(directory).changes(before)
    assert not any(path.is_mount() or any(path.iterdir()) for path in layers.iterdir())


def test_a_test_run_that_is_killed_leaves_no_machine(network: Network, tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from tests.e2e.network import Network\n"
        "network = Network(pathlib.Path(sys.argv[1]))\n"
        "network.machine('db-1', '10.0.1.2')\n"
        "print(*network.namespaces, flush=True)\n"
        "time.sleep(1000)\n"
    )
    (layers := tmp_path / "machines").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", program, layers], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        namespaces = run.stdout.readline().split()
        assert processes_in(namespaces)
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not processes_in(namespaces), message=lambda: f"{processes_in(namespaces)}")


def test_a_command_that_hangs_is_killed_with_its_children(network: Network) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as raised:
        network.gateway.run(["sh", "-c", "echo before; sleep 1234 | cat"], timeout=0.5)
    assert "before" in raised.value.__notes__[0]
    gone = network.gateway.namespaces
    wait_until(lambda: not [line for line in processes_in(gone) if "sleep 1234" in line])


def test_machines_reach_one_another_through_the_gateway(short_lived: Network) -> None:
    first = short_lived.machine("db-1", "10.0.1.2", "fd00:10:0:1::2")
    second = short_lived.machine("laptop", "203.0.113.7", "2001:db8::7")
    for machine, address in [(first, "203.0.113.7"), (second, "fd00:10:0:1::2"), (second, Network.GATEWAY)]:
        with machine.joined():
            assert _connect(address, 9) == errno.ECONNREFUSED


def test_an_address_that_no_machine_has_cannot_be_reached(short_lived: Network) -> None:
    with short_lived.gateway.joined():
        assert _connect("10.0.1.99", 22) == errno.ENETUNREACH


def test_an_address_is_free_again_when_its_machine_is_removed(short_lived: Network) -> None:
    machine = short_lived.machine("db-1", "10.0.1.2")
    short_lived.remove(machine)
    with short_lived.gateway.joined():
        assert _connect("10.0.1.2", 9) == errno.ENETUNREACH
    short_lived.machine("db-2", "10.0.1.2")
    with short_lived.gateway.joined():
        assert _connect("10.0.1.2", 9) == errno.ECONNREFUSED


def test_a_thread_that_joins_a_machine_is_back_outside_afterwards(short_lived: Network) -> None:
    outside = _own_network()
    with short_lived.gateway.joined():
        assert _own_network() != outside
        with socket.create_server(("127.0.0.1", free_port())) as server:
            port = server.getsockname()[1]
            assert _connect("127.0.0.1", port) == 0
    assert _own_network() == outside


@pytest.mark.parametrize("user", ["ec2-user", "root"])
@pytest.mark.parametrize("address", ["10.0.1.1", "fd00:10:0:1::1"])
def test_ssh_runs_a_command_on_a_host_as_a_user_who_is_only_there(
    web_host: Sshd, network: Network, tmp_path: Path, user: str, address: str
) -> None:
    web_host.authorize(user, make_key(tmp_path / "id"))
    ssh = _ssh(web_host, tmp_path, user, address)
    completed = network.gateway.run([*ssh, "id -un; cat /proc/sys/kernel/hostname"], check=True)
    assert completed.stdout == f"{user}\nweb-1\n"


def test_sshd_follows_what_is_put_into_its_configuration(
    web_host: Sshd, network: Network, tmp_path: Path
) -> None:
    # Before what another test may have enrolled the host with: sshd takes the first that it finds.
    host, drop_in = web_host.machine, "/etc/ssh/sshd_config.d/00-harness.conf"
    host.write("/etc/harness/keys", f"#!/bin/sh\necho '{make_key(tmp_path / 'id')}'\n", mode=0o755)
    ssh = _ssh(web_host, tmp_path, "ec2-user", "10.0.1.1")
    assert network.gateway.run([*ssh, "true"]).returncode == 255
    host.write(drop_in, "AuthorizedKeysCommand /etc/harness/keys\nAuthorizedKeysCommandUser nobody\n")
    web_host.reload()
    network.gateway.run([*ssh, "true"], check=True)
    host.run(["rm", drop_in], check=True)
    web_host.reload()
    assert network.gateway.run([*ssh, "true"]).returncode == 255


def test_the_aws_cli_finds_a_name_and_trusts_a_ca_that_only_its_machine_knows(
    short_lived: Network, aws_program: Path, tmp_path: Path
) -> None:
    name = "gateway.hatchway.example"
    certificate = _self_signed(tmp_path, name)
    short_lived.gateway.add_name("127.0.0.1", name)
    short_lived.gateway.trust(certificate)
    with short_lived.gateway.joined():
        listener = socket.create_server(("127.0.0.1", 443))
    requests: list[bytes] = []
    server = threading.Thread(target=_refuse, args=(listener, tmp_path, requests))
    server.start()
    try:
        aws = AwsCli(aws_program, short_lived.gateway, tmp_path, {"AWS_REGION": "us-east-1"})
        refused = aws.with_key("AKIAIOSFODNN7EXAMPLE", "secret").run(
            "ec2-instance-connect", "open-tunnel", "--private-ip-address", "10.0.1.1",
            "--instance-connect-endpoint-id", "eice-0123456789abcdef0",
            "--instance-connect-endpoint-dns-name", name,
        )  # fmt: skip
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()
    assert requests[0].startswith(b"GET /openTunnel?")
    assert "not today" in refused.stderr
    assert refused.returncode == 255
    assert certificate not in Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    assert name not in Path("/etc/hosts").read_text()


def _connect(address: str, port: int) -> int:
    """Connect from the calling thread's network: 0 or the error's number."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(60)
        return probe.connect_ex((address, port))


def _own_network() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


def _ssh(host: Sshd, directory: Path, user: str, address: str) -> list[str]:
    (directory / "known_hosts").write_text(host.known_hosts_line(address))
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f"{directory}/known_hosts",
    }
    flags = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
    return ["ssh", "-F", "none", *flags, "-i", f"{directory}/id", f"{user}@{address}"]


def _self_signed(directory: Path, name: str) -> str:
    """Make `key.pem` and `certificate.pem`, of a CA that is its own server; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded = certificate.public_bytes(serialization.Encoding.PEM)
    (directory / "certificate.pem").write_bytes(encoded)
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return encoded.decode().strip()


def _refuse(listener: socket.socket, directory: Path, requests: list[bytes]) -> None:
    """Answer the first connection with a refusal, and keep its request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    try:
        connection, _ = listener.accept()
    except OSError:  # the test is over
        return
    with connection, context.wrap_socket(connection, server_side=True) as secure:
        requests.append(secure.recv(65536))
        secure.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot today")
