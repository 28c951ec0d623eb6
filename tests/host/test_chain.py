"""Another AuthorizedKeysCommand beside ours: which is run, as whom, and that it is all there afterwards."""

import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.host.pretend import SHELLS, Host

from hatchway.host.script import HostLayout, every_authorized_keys_command

HOME = pwd.getpwnam("nobody").pw_dir
FINGERPRINT = "SHA256:/1F6fb8qZDBlqs0aTIVKSXqLU5b2uxQM9JCQ5l3M3Q4"


def other_command(host: Host, line: str, account: str = "nobody", file: str = "04-ipa.conf") -> str:
    program = host.root / "bin/sss"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = line.format(program)
    (host.sshd_config.parent / "sshd_config.d" / file).write_text(
        f"AuthorizedKeysCommand {command}\nAuthorizedKeysCommandUser {account}\n"
    )
    return command


@pytest.mark.parametrize(
    ("line", "account", "chained"),
    [
        ("{}", "nobody", "{} %u"),
        ("{} %u %f", "ec2-instance-connect", "{} %u %f"),
        ('"{}" --domain "a b" %u', "%u", '"{}" --domain "a b" %u'),
    ],
)
def test_another_command_is_run_beside_ours_and_is_there_afterwards(
    one_host: Host, line: str, account: str, chained: str
) -> None:
    command = other_command(one_host, line, account)
    expected = chained.format(one_host.root / "bin/sss")
    (one_host.root / "account").write_text("there already")
    before = one_host.files()
    for _ in range(2):
        done = one_host.run()
        assert (done.returncode, done.stderr) == (0, "")
        assert f"which still counts: {expected} (as {account})" in done.stdout
        assert one_host.drop_in.read_text().splitlines()[1:] == [
            f"AuthorizedKeysCommand {one_host.directory}/every-authorized-keys %u %f hatchway-keys"
            f" {account} {expected}",
            "AuthorizedKeysCommandUser root",
        ]
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before
    assert command in (one_host.sshd_config.parent / "sshd_config.d/04-ipa.conf").read_text()


def test_a_command_whose_package_is_gone_is_run_no_more(one_host: Host) -> None:
    other_command(one_host, "{} %u")
    (one_host.root / "account").write_text("there already")
    assert one_host.run().returncode == 0
    (one_host.root / "bin/sss").unlink()
    (one_host.sshd_config.parent / "sshd_config.d/04-ipa.conf").unlink()
    assert one_host.run().returncode == 0
    assert one_host.drop_in.read_text().splitlines()[1:] == [
        f"AuthorizedKeysCommand {one_host.directory}/authorized-keys %u %f",
        "AuthorizedKeysCommandUser hatchway-keys",
    ]


def test_a_command_that_is_not_there_is_not_run(one_host: Host) -> None:
    other_command(one_host, "{} %u")
    (one_host.root / "bin/sss").unlink()
    before = one_host.files()
    done = one_host.run()
    assert (done.returncode, "that is not there" in done.stderr) == (1, True)
    assert one_host.files() == before


def test_an_option_on_the_command_line_of_sshd_is_said_with_what_to_do(one_host: Host) -> None:
    one_host.start_sshd(
        f"sshd: {one_host.root}/bin/sshd -D -o AuthorizedKeysCommand=/usr/bin/eic %u [listener] 0 of 10-100\0"
    )
    before = one_host.files()
    done = one_host.run()
    assert (done.returncode, "from the -o that it is started with" in done.stderr) == (1, True)
    assert one_host.files() == before


def ask(directory: Path, ours: str, other: str, shell: str, *, account: str = "nobody") -> tuple[str, str]:
    """What is printed, and what is logged, where these are the texts of the two commands."""
    layout = HostLayout(
        directory=str(directory), state=str(directory), path=f"{directory}:{HostLayout().path}"
    )
    for name, text in {
        "authorized-keys": ours,
        "other": other,
        "logger": f"cat >>{directory}/logged",
        "every": every_authorized_keys_command(layout).removeprefix("#!/bin/sh\n"),
    }.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    done = subprocess.run(
        [
            shell,
            directory / "every",
            "alice",
            FINGERPRINT,
            account,
            account,
            directory / "other",
            "alice",
            "x y",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "SECRET": "root's own"},
    )
    assert done.stderr == ""
    logged = directory / "logged"
    return done.stdout, logged.read_text() if logged.exists() else ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a command another account's rights")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("ours", "other", "printed"),
    [
        ('echo "ours $*"', "echo other", f"ours alice {FINGERPRINT}\n"),
        ("", 'echo "other $1,$2" $(id -un) ${SECRET-none} $HOME', f"other alice,x y nobody none {HOME}\n"),
        ("exit 3", "echo other", "other\n"),
        ("kill -9 $$", "echo other", "other\n"),
        ("id -un", "echo other", "nobody\n"),
        ("echo ours", "exit 3", "ours\n"),
        ("", "echo half; exit 3", ""),
        ("", "echo half; kill -9 $$", ""),
        ("", "echo half; yes", ""),
        ("", "printf other", "other\n"),
    ],
)
def test_each_command_has_its_own_account_and_neither_takes_the_other_away(
    shell: str, ours: str, other: str, printed: str
) -> None:
    # Below pytest's own directories nobody but their owner gets.
    with tempfile.TemporaryDirectory(prefix="hatchway-") as directory:
        Path(directory).chmod(0o755)
        found, logged = ask(Path(directory), ours, other, shell)
    assert found == printed
    assert ("other failed (exit status " in logged) == ("half; exit" in other or "half; kill" in other)
    assert ("prints without end" in logged) == ("yes" in other)
