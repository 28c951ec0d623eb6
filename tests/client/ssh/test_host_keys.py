"""Hosts that ssh takes for themselves only by the keys that they reported: a real ssh, and a real sshd."""

import os
import shlex
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.client.stubs import INSTANCE_ID, StubControlPlane
from tests.programs import find, needs

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.errors import ApiError
from hatchway.client.ssh.host_keys import (
    MISMATCH_SCRIPT,
    keep_known_hosts,
    knows_known_hosts_command,
    openssh_version,
    pin_options,
    quoted,
    reported_keys,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM4Ed4P/17SmHgZZCH0wHubC0DF8EPEfLCBT5snNZPb1"


@dataclass
class Host:
    """An sshd that runs as ssh's ProxyCommand, lets nobody in, and shows what key it has."""

    directory: Path
    keys: dict[str, str]

    def shows(self, kind: str, pins: Sequence[str], *options: str) -> str:
        """What ssh says that goes there."""
        directory = self.directory
        sshd = [
            find("sshd") or "sshd",
            "-i",
            "-f",
            str(directory / "sshd_config"),
            "-h",
            str(directory / kind),
        ]
        proxy = f"ProxyCommand={shlex.join(sshd)} 2>/dev/null"
        command = [
            "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", proxy, *options, *pins,
            "-o", f"HostKeyAlias={INSTANCE_ID}", "--", f"nobody@{INSTANCE_ID}", "true",
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


@pytest.fixture(scope="module")
def privilege_separation() -> Iterator[None]:
    """The directory without which root's sshd does not run."""
    path = Path("/run/sshd")
    missing = os.geteuid() == 0 and not path.is_dir()
    if missing:
        path.mkdir(mode=0o755)
    yield
    if missing:
        path.rmdir()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, privilege_separation: None) -> Host:
    directory = tmp_path_factory.mktemp("host")
    (directory / "sshd_config").write_text("AuthorizedKeysFile none\nUsePAM no\n")
    keys = {}
    for kind in ("ed25519", "other", "ecdsa"):
        algorithm = kind if kind == "ecdsa" else "ed25519"
        command = ["ssh-keygen", "-q", "-t", algorithm, "-N", "", "-C", "", "-f", str(directory / kind)]
        subprocess.run(command, check=True)
        keys[kind] = (directory / f"{kind}.pub").read_text().strip()
    return Host(directory, keys)


@needs("ssh", "openssh-client")
@needs("sshd", "openssh-server")
@pytest.mark.parametrize("shown", ["ed25519", "ecdsa"])
def test_a_host_that_shows_a_key_that_it_reported_is_taken_for_itself(
    host: Host, tmp_path: Path, shown: str
) -> None:
    tells = knows_known_hosts_command(openssh_version("ssh"))
    pins = pin_options(tmp_path, INSTANCE_ID, [host.keys["ecdsa"], host.keys["ed25519"]], tells=tells)
    said = host.shows(shown, pins)
    assert "Permission denied" in said
    assert "hatchway" not in said


@needs("ssh", "openssh-client")
@needs("sshd", "openssh-server")
@pytest.mark.parametrize(("reported", "shown"), [("ed25519", "other"), ("ed25519", "ecdsa")])
def test_a_swapped_host_is_refused_with_what_to_do(
    host: Host, tmp_path: Path, reported: str, shown: str
) -> None:
    directory = tmp_path / 'a 100% "quoted" place'
    directory.mkdir()
    tells = knows_known_hosts_command(openssh_version("ssh"))
    pins = pin_options(directory, INSTANCE_ID, [host.keys[reported]], tells=tells)
    said = host.shows(shown, pins)
    assert "Host key verification failed" in said
    if tells:
        (line,) = [line for line in said.splitlines() if line.startswith("hatchway: ")]
        assert f"{INSTANCE_ID} shows the host key SHA256:" in line
        assert "run /etc/hatchway-host/report-host-keys there" in line


@needs("ssh", "openssh-client")
@needs("sshd", "openssh-server")
def test_keys_of_the_users_own_come_before_those_that_were_reported(host: Host, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text(f"{INSTANCE_ID} {host.keys['other']}\n")
    pins = pin_options(tmp_path, INSTANCE_ID, [host.keys["ed25519"]], tells=False)
    assert "Permission denied" in host.shows("other", pins, "-o", f"UserKnownHostsFile={quoted(str(mine))}")


@pytest.mark.parametrize(
    ("why", "known", "tells"),
    [
        ("HOSTNAME", f"# x\n* {KEY}x\n", True),
        ("HOSTNAME", f"# x\n* {KEY}x\n* {KEY}\n", False),
        ("ORDER", f"* {KEY}x\n", False),
        # What ssh has noted of a host that has reported nothing.
        ("HOSTNAME", f"i-1 {KEY}x\n", False),
        ("HOSTNAME", None, False),
    ],
)
def test_what_to_do_is_said_of_a_host_that_reported_other_keys(
    tmp_path: Path, why: str, known: str | None, tells: bool
) -> None:
    script, file = tmp_path / "mismatch", tmp_path / "known"
    script.write_text(MISMATCH_SCRIPT)
    if known is not None:
        file.write_text(known)
    words = ["sh", str(script), why, KEY.split()[1], "SHA256:x", str(file), "i-1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("hatchway: i-1 shows the host key SHA256:x, ") is tells
    assert bool(done.stderr) is tells


@needs("ssh", "openssh-client")
def test_an_ssh_of_another_make_is_not_made_to_tell(tmp_path: Path) -> None:
    for said, knows in (
        ("OpenSSH_8.4p1 Debian-5", False),
        ("OpenSSH_8.5p1", True),
        ("OpenSSH_for_Windows_9.5p1, LibreSSL 3.8.2", True),
        ("OpenSSH_10.0p2", True),
        ("Dropbear v2022.83", False),
    ):
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        program.chmod(0o755)
        assert knows_known_hosts_command(openssh_version(str(program))) is knows, said


def api(control_plane: StubControlPlane) -> Any:
    options = ProfileOptions(
        region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
    )
    return Profile(options).api("hatchway")


def test_what_is_no_key_is_not_taken_for_one(control_plane: StubControlPlane, aws_environment: Path) -> None:
    control_plane.host_keys = (KEY, f"{KEY}\n@cert-authority * {KEY}", "# x", f"*,a {KEY}")
    assert reported_keys(api(control_plane), [INSTANCE_ID]) == {INSTANCE_ID: (KEY,)}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"HostKeys": {"a": 1}},
        {"HostKeys": [1]},
        {"HostKeys": [{"InstanceId": INSTANCE_ID, "PublicKeys": [5]}]},
    ],
)
def test_what_is_no_answer_is_called_none(said: dict[str, Any]) -> None:
    class Says:
        def describe_host_keys(self, **_: object) -> dict[str, Any]:
            return said

    with pytest.raises(ApiError, match="the answer is not that of Hatchway's API"):
        reported_keys(Says(), [INSTANCE_ID])


def test_keys_of_a_host_that_nobody_asked_about_are_passed_over(
    control_plane: StubControlPlane, aws_environment: Path
) -> None:
    control_plane.host_keys = (KEY,)
    assert reported_keys(api(control_plane), [f"{INSTANCE_ID[:-1]}1"]) == {}


def test_all_hosts_are_asked_about_in_as_few_calls_as_the_api_takes(
    control_plane: StubControlPlane, aws_environment: Path
) -> None:
    assert reported_keys(api(control_plane), [f"i-{number:017x}" for number in range(201)]) == {}
    assert [len(call["InstanceIds"][0]) for call in control_plane.calls] == [100, 100, 1]


@pytest.mark.parametrize(
    ("code", "told"),
    [("AccessDeniedException", True), ("UnknownOperationException", True), ("ThrottlingException", False)],
)
def test_who_cannot_be_told_is_as_ssh_is_and_any_other_refusal_is_one(
    control_plane: StubControlPlane,
    aws_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    told: bool,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    answer = (400, f'{{"__type": "{code}", "message": "no"}}'.encode())
    monkeypatch.setattr(control_plane, "answer_DescribeHostKeys", lambda _: answer, raising=False)
    if told:
        assert reported_keys(api(control_plane), [INSTANCE_ID]) is None
    else:
        with pytest.raises(ApiError, match=code):
            reported_keys(api(control_plane), [INSTANCE_ID])


def test_kept_keys_follow_what_the_host_reports_and_leave_what_ssh_has_noted(tmp_path: Path) -> None:
    path = tmp_path / "hosts" / "i-1"
    keep_known_hosts(path, [])
    assert not path.exists()
    keep_known_hosts(path, [KEY])
    assert f"* {KEY}\n" in path.read_text()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    keep_known_hosts(path, [])
    assert list(path.parent.iterdir()) == []
    path.write_text(f"i-1 {KEY}\n")
    keep_known_hosts(path, [])
    assert path.read_text() == f"i-1 {KEY}\n"


def test_kept_keys_are_written_through_nobodys_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("x")
    (tmp_path / f".known.{os.getpid()}").symlink_to(victim)
    keep_known_hosts(tmp_path / "known", [KEY])
    assert victim.read_text() == "x"


def test_a_directory_in_the_place_of_the_file_is_named_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        keep_known_hosts(tmp_path, ["ssh-ed25519 AAAA"])
    assert caught.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))
