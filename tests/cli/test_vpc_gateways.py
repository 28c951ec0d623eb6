"""Gateways that are bound to VPCs: a separate network is served by them alone (docs/gateway.md)."""

import signal
import subprocess
from contextlib import closing
from pathlib import Path

from cryptography import x509
from tests.cli.commands import COMMAND, environment
from tests.cli.conftest import FLEET, Installed, Serve, create_endpoint
from tests.cli.test_serve import eventually
from tests.transport.harness import silent_port

from hatchway.store import Store


def tunnel(installed: Installed, endpoint_id: str) -> str:
    """What `hatchway open-tunnel` says of a host that does not answer."""
    with silent_port("127.0.40.1") as port:
        done = subprocess.run(
            [*COMMAND, "open-tunnel", "--profile", "alice", "--private-ip-address", "127.0.40.1",
             "--instance-connect-endpoint-id", endpoint_id, "--remote-port", str(port),
             "--gateway-address", "127.0.0.1"],
            env=environment(installed.variables), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode != 0
    return done.stderr


def names(installed: Installed) -> list[str]:
    """For which the server's certificate is."""
    certificate = x509.load_pem_x509_certificate((installed.directory / "server.pem").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName)


def test_a_separate_network_is_served_by_gateways_that_are_bound_to_it_by_a_name_that_may_change(
    installed: Installed, serve: Serve, tmp_path: Path
) -> None:
    with closing(Store.open(f"sqlite:///{installed.directory}/hatchway.db")) as store, store.read() as tx:
        domain = f"lab.{tx.account().gateway_dns_name}"
    fleet = tmp_path / "fleet.yaml"
    said = f"lab:\n    separate_network: true\n    gateway_dns_name: '{{endpoint_id}}.{domain}'\n"
    fleet.write_text(FLEET.replace("lab:\n", said, 1))
    assert installed.run("apply", str(fleet)).returncode == 0

    server = serve(installed)
    assert f"*.{domain}" in names(installed)
    assert installed.run("access-key", "create", "alice", "--profile", "alice").returncode == 0
    endpoint_id = create_endpoint(installed)
    with closing(Store.open(f"sqlite:///{installed.directory}/hatchway.db")) as store, store.read() as tx:
        assert [each.dns_name for each in tx.endpoints.find()] == [f"{endpoint_id}.{domain}"]
    assert "not one that this gateway serves" in tunnel(installed, endpoint_id)
    # Another name while it runs: the certificate gets it with the next reload.
    moved = f"moved.{domain.removeprefix('lab.')}"
    fleet.write_text(fleet.read_text().replace(f"'{{endpoint_id}}.{domain}'", moved))
    assert "when the server is reloaded" in installed.run("apply", str(fleet)).stderr
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: moved in names(installed))
    server.stop()

    serve(installed, "--vpc", "nothing", "--endpoint", endpoint_id, "--never-target", "api.invalid")
    anew = ("access-key", "create", "alice", "--profile", "alice", "--overwrite")
    assert installed.run(*anew).returncode == 0
    assert "Unable to connect to target" in tunnel(installed, endpoint_id)
