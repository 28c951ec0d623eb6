"""The script and its commands where all there is is busybox, as on Alpine: no bash, getent or useradd."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.pretend import make_host
from tests.programs import find, needs

from hatchway.host.script import HostLayout, authorized_keys_command

pytestmark = needs("busybox", "busybox")

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
FINGERPRINT = "SHA256:/1F6fb8qZDBlqs0aTIVKSXqLU5b2uxQM9JCQ5l3M3Q4"


@pytest.fixture(scope="module")
def applets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("busybox")
    program = find("busybox")
    assert program is not None
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in {*listed} - {"getent", "logger"}:
        (directory / name).symlink_to(program)
    return directory


def test_a_host_is_set_up_and_left_as_it_was(applets: Path, tmp_path: Path) -> None:
    host = make_host(tmp_path, str(applets / "sh"))
    for name in ("getent", "useradd", "userdel"):
        (host.root / "bin" / name).unlink()
    for name, text in {"adduser": 'echo "$@" >"$ROOT/account"', "deluser": 'rm "$ROOT/account"'}.items():
        program = host.root / "bin" / name
        program.write_text(f"#!{applets}/sh\nROOT={host.root}\n{text}\n")
        program.chmod(0o755)
    host.start_sshd(f"sshd: {host.root}/bin/sshd [listener] 0 of 10-100 startups\0")
    layout = replace(host.layout, path=f"{host.root}/bin:{applets}")
    before = host.files()
    done = host.run(layout=layout)
    assert (done.returncode, done.stderr) == (0, "")
    assert "let in a key that was made for this" in done.stdout
    assert (host.root / "account").read_text().split()[:3] == ["-S", "-D", "-H"]
    placed = host.files()
    assert host.run(layout=layout).returncode == 0
    assert host.files() == placed
    done = host.run("--uninstall", layout=layout)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.files() == before


def test_the_command_prints_keys_and_logs_who_pushed_them(applets: Path, tmp_path: Path) -> None:
    layout = HostLayout(directory=str(tmp_path), state=str(tmp_path), path=f"{tmp_path}:{applets}")
    who = "arn:aws:iam::123456789012:user/alice"
    for name, text in {
        "curl": f"printf '%s\\n' '{KEY} {who}' 'command=\"id\" {KEY}'",
        "logger": f"cat >>{tmp_path}/logged",
        "authorized-keys": authorized_keys_command("https://hatchway.example", layout),
    }.items():
        program = tmp_path / name
        program.write_text(text if name == "authorized-keys" else f"#!{applets}/sh\n{text}\n")
        program.chmod(0o755)
    argv = [str(applets / "sh"), str(tmp_path / "authorized-keys"), "ec2-user", FINGERPRINT]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{KEY}\n", "")
    assert (tmp_path / "logged").read_text() == f"{FINGERPRINT} for ec2-user was pushed by {who}\n"
