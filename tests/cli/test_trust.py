"""`hatchway trust install` on a machine whose system files are its own."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import COMMAND
from tests.cli.conftest import Installed
from tests.client.setup.test_bundle import ALICE
from tests.e2e.commands import hatchway_on
from tests.e2e.machines import Machine, missing_for_machines

from hatchway.client.setup.bundle import bundle_files
from hatchway.pki.certificates import certificates_in

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
    machine.keep_few_cas()
    yield machine
    machine.stop()


def test_the_ca_comes_into_the_systems_trust_store_and_goes_again(
    installed: Installed, machine: Machine
) -> None:
    command = ("trust", "install", "--data-dir", str(installed.directory))
    certificate = (installed.directory / "ca.pem").read_text().strip()
    before = machine.read(BUNDLE)

    done = hatchway_on(machine, *command)
    assert done.returncode == 0, done.stderr
    assert "trusts the CA" in done.stdout
    assert certificate in machine.read(BUNDLE)
    check = ["openssl", "verify", "-CAfile", BUNDLE, str(installed.directory / "server.pem")]
    assert machine.run(check).returncode == 0

    done = hatchway_on(machine, *command, "--uninstall")
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
        done = hatchway_on(machine, "trust", "install", "--ca-certificate", str(file))
        assert done.returncode == 0, done.stderr
    bundle = machine.read(BUNDLE)
    assert (installed.directory / "ca.pem").read_text().strip() in bundle
    assert (other / "ca.pem").read_text().strip() in bundle


FILES = (
    "find /usr/local/share /etc/ssl -printf '%p %y %m %l\\n' | sort;"
    "cat /etc/ssl/certs/ca-certificates.crt | sha256sum"
)
PLACE = "/usr/local/share/ca-certificates"


def files(machine: Machine) -> str:
    return machine.run(["sh", "-c", FILES], check=True).stdout


def pretend(machine: Machine, script: str) -> None:
    """Has update-ca-certificates be another program, before its real one in the search path."""
    machine.write("/usr/local/sbin/update-ca-certificates", f"#!/bin/sh\n{script}\n", mode=0o755)


REAL = '/usr/sbin/update-ca-certificates "$@"'


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        f"case $* in *fresh*) {REAL} ;; *) {REAL}; exit 1 ;; esac",
        f"case $* in *fresh*) {REAL} ;; *) exit 0 ;; esac",
        f"case $* in *fresh*) {REAL} ;; *) {REAL}; kill -TERM $PPID; sleep 1 ;; esac",
    ],
)
def test_an_installation_that_fails_or_is_ended_leaves_the_system_as_it_was(
    installed: Installed, machine: Machine, script: str
) -> None:
    command = ("trust", "install", "--data-dir", str(installed.directory))
    machine.run(["rm", "-rf", PLACE], check=True)
    machine.run(["update-ca-certificates", "--fresh"], check=True)
    before = files(machine)
    pretend(machine, script)
    assert hatchway_on(machine, *command).returncode in (1, 143)
    assert files(machine) == before
    machine.run(["rm", "/usr/local/sbin/update-ca-certificates"], check=True)
    assert hatchway_on(machine, *command).returncode == 0
    trusted = files(machine)
    pretend(machine, "case $1 in --fresh) exit 1 ;; esac; exit 1")
    assert hatchway_on(machine, *command, "--uninstall").returncode == 1
    assert files(machine) == trusted


def test_umask_and_search_path_of_the_caller_change_nothing(installed: Installed, machine: Machine) -> None:
    command = [*COMMAND, "trust", "install", "--data-dir", str(installed.directory)]
    machine.write("/etc/hostile/update-ca-certificates", "#!/bin/sh\nexit 9\n", mode=0o755)
    machine.run(["rm", "-rf", PLACE], check=True)
    line = 'umask 077; PATH=/etc/hostile:$PATH; exec "$@"'
    done = machine.run(["sh", "-c", line, "sh", *command])
    assert done.returncode == 0, done.stderr
    found = machine.run(["find", PLACE, "-printf", "%m\\n"], check=True).stdout
    assert found.split() == ["755", "644"]
    assert machine.run(["stat", "-c", "%a", BUNDLE], check=True).stdout == "644\n"


@pytest.mark.parametrize("uninstall", [[], ["--uninstall"]])
@pytest.mark.parametrize("link", [True, False])
def test_what_others_put_in_the_files_place_is_left_alone(
    installed: Installed, machine: Machine, link: bool, uninstall: list[str]
) -> None:
    command = ("trust", "install", "--data-dir", str(installed.directory))
    hatchway_on(machine, *command, check=True)
    (file,) = machine.run(["find", PLACE, "-name", "hatchway-*"], check=True).stdout.split()
    machine.write("/etc/victim", "theirs\n")
    put = ["ln", "-sf", "/etc/victim", file] if link else ["cp", "/etc/victim", file]
    machine.run(put, check=True)
    done = hatchway_on(machine, *command, *uninstall)
    assert (done.returncode, "move it away" in done.stderr) == (1, True)
    assert machine.read("/etc/victim") == machine.read(file) == "theirs\n"


@pytest.mark.parametrize("file", ["server.pem", "master.key", "none.pem"])
def test_what_is_no_ca_certificate_is_refused(installed: Installed, file: str) -> None:
    done = installed.run("trust", "install", "--ca-certificate", str(installed.directory / file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_while_one_ca_takes_anothers_place_both_are_trusted_and_both_go_again(
    installed: Installed, machine: Machine, tmp_path: Path
) -> None:
    assert installed.run("ca", "rotate", "--step", "add").returncode == 0
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    ca = (installed.directory / "ca.pem").read_bytes()
    for name, (text, _) in bundle_files(replace(ALICE, ca=ca)).items():
        (bundle / name).write_text(text)
    machine.run(["update-ca-certificates", "--fresh"], check=True)
    before = files(machine)
    ours = ("trust", "install", "--data-dir", str(installed.directory))
    script = ["sh", str(bundle / "install.sh")]
    ways: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
        (lambda: hatchway_on(machine, *ours), lambda: hatchway_on(machine, *ours, "--uninstall")),
        (lambda: machine.run([*script, "--trust"]), lambda: machine.run([*script, "--untrust"])),
    ]
    for number, (trust, distrust) in enumerate(ways):
        done = trust()
        assert done.returncode == 0, done.stderr
        assert ("trusts", "already")[number] in trust().stdout
        # By the links that OpenSSL looks certificates up by, each of which leads to a file with one.
        for certificate in certificates_in((installed.directory / "ca.pem").read_bytes()):
            machine.write("/etc/one.pem", certificate.decode())
            by_link = machine.run(["openssl", "verify", "-CApath", "/etc/ssl/certs", "/etc/one.pem"])
            assert by_link.returncode == 0, by_link.stderr
        assert distrust().returncode == 0
        assert files(machine) == before
