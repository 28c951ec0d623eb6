"""`hatchway trust install` on a machine whose system files are its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND
from tests.cli.conftest import Installed
from tests.e2e.machines import Machine, missing_for_machines

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if reason := missing_for_machines():
        pytest.skip(reason)
    if shutil.which("update-ca-certificates") is None:
        pytest.skip("update-ca-certificates is missing: install ca-certificates")
    layers = tmp_path / "layers"
    layers.mkdir()
    machine = Machine("trust", layers, private=("/etc", "/usr/local"))
    yield machine
    machine.stop()


def test_the_ca_comes_into_the_systems_trust_store_and_goes_again(
    installed: Installed, machine: Machine
) -> None:
    command = [*COMMAND, "trust", "install", "--data-dir", str(installed.directory)]
    certificate = (installed.directory / "ca.pem").read_text().strip()
    before = machine.read(BUNDLE)

    done = machine.run(command)
    assert done.returncode == 0, done.stderr
    assert "trusts the CA" in done.stdout
    assert certificate in machine.read(BUNDLE)
    check = ["openssl", "verify", "-CAfile", BUNDLE, str(installed.directory / "server.pem")]
    assert machine.run(check).returncode == 0

    done = machine.run([*command, "--uninstall"])
    assert done.returncode == 0, done.stderr
    assert machine.read(BUNDLE) == before
    assert (
        machine.run(
            ["find", "/usr/local/share/ca-certificates", "/etc/ssl/certs", "-name", "hatchway*"]
        ).stdout
        == ""
    )


def test_two_installations_are_trusted_side_by_side(
    installed: Installed, machine: Machine, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert installed.run("init", "--data-dir", str(other)).returncode == 0
    for file in (installed.directory / "ca.pem", other / "ca.pem"):
        done = machine.run([*COMMAND, "trust", "install", "--ca-certificate", str(file)])
        assert done.returncode == 0, done.stderr
    bundle = machine.read(BUNDLE)
    assert (installed.directory / "ca.pem").read_text().strip() in bundle
    assert (other / "ca.pem").read_text().strip() in bundle


@pytest.mark.parametrize("file", ["server.pem", "master.key", "none.pem"])
def test_what_is_no_ca_certificate_is_refused(installed: Installed, file: str) -> None:
    done = installed.run("trust", "install", "--ca-certificate", str(installed.directory / file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
