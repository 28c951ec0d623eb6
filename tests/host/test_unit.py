"""An AuthorizedKeysCommand that the service's unit gives sshd by -o, as AWS's ec2-instance-connect has it."""

from pathlib import Path

import pytest
from tests.host.pretend import MARK, PROGRAMS, Host
from tests.host.test_places import EVERY_STEP, make_steps, run_with_fault, steps_of, tried

OPTIONS = '-o "AuthorizedKeysCommand {} %%u %%f" -o "AuthorizedKeysCommandUser %%u"'


@pytest.fixture
def connect_host(one_host: Host) -> Host:
    """One with that package."""
    root = one_host.root
    (root / "run/systemd").mkdir(parents=True)
    drop_ins = root / "etc/systemd/ssh.service.d"
    drop_ins.mkdir(parents=True)
    (root / "KillMode").write_text("process\n")
    (root / "service").write_text(f"[Service]\nExecStart={root}/bin/sshd -D $SSHD_OPTS\nKillMode=process\n")
    command = root / "bin/eic"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    options = OPTIONS.format(command)
    line = f'{root}/bin/sshd -D -o "PermitUserEnvironment EIC_*" {options} $SSHD_OPTS'
    (drop_ins / "ec2-instance-connect.conf").write_text(f"[Service]\nExecStart=\nExecStart={line}\n")
    one_host.start_sshd(f"sshd: {line.replace(chr(34), '').replace('%%', '%')} [listener] 0 of 10-100\0")
    return one_host


def ours(host: Host) -> Path:
    return host.root / "etc/systemd/ssh.service.d/zz-hatchway.conf"


def restarts(host: Host) -> int:
    log = host.root / "restarts"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_it_is_run_beside_ours_by_a_unit_without_the_option_and_is_the_option_s_again_afterwards(
    connect_host: Host,
) -> None:
    before = connect_host.files()
    eic = connect_host.root / "bin/eic"
    for _ in range(2):
        done = connect_host.run()
        assert (done.returncode, done.stderr) == (0, "")
        assert f"which still counts: {eic} %u %f (as %u)" in done.stdout
        assert "asks Hatchway for keys of: users yet to be made" in done.stdout
        assert ours(connect_host).read_text() == (
            f"{MARK}[Service]\nExecStart=\n"
            f'ExecStart={connect_host.root}/bin/sshd -D -o "PermitUserEnvironment EIC_*" $SSHD_OPTS\n'
        )
        # The second run has nothing to start anew for.
        assert restarts(connect_host) == 1
    assert connect_host.run("--uninstall").returncode == 0
    assert restarts(connect_host) == 2
    assert connect_host.files() == before
    assert "AuthorizedKeysCommand" in (connect_host.root / "proc/812/cmdline").read_text()


def test_where_sshd_does_not_start_so_all_is_as_it_was(connect_host: Host) -> None:
    before = connect_host.files()
    (connect_host.root / "restart-fails").write_text("")
    done = connect_host.run()
    assert done.returncode == 1
    assert "could not be started without the AuthorizedKeysCommand of its -o options" in done.stderr
    assert connect_host.files() == before
    assert restarts(connect_host) == 2
    assert "AuthorizedKeysCommand" in (connect_host.root / "proc/812/cmdline").read_text()


@pytest.fixture
def socket_host(one_host: Host) -> Host:
    """One whose sshd has its socket from systemd, as with Debian 13's ssh.socket, and on Ubuntu."""
    root = one_host.root
    (root / "socket-activated").touch()
    (root / "service").write_text(f"[Service]\nExecStart={root}/bin/sshd -D $SSHD_OPTS\n")
    one_host.start_sshd(f"sshd: {root}/bin/sshd -D [listener] 0 of 10-100\0")
    return one_host


def test_an_sshd_that_has_its_socket_from_systemd_is_started_anew_since_a_reload_would_end_it(
    socket_host: Host,
) -> None:
    (socket_host.root / "KillMode").write_text("process\n")
    for arguments, times in (([], 1), (["--uninstall"], 2)):
        done = socket_host.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert restarts(socket_host) == times
    assert not (socket_host.root / "reloads").exists()


def test_where_that_would_end_sessions_nothing_is_changed(socket_host: Host) -> None:
    (socket_host.root / "KillMode").write_text("control-group\n")
    before = socket_host.files()
    done = socket_host.run()
    assert (done.returncode, "which would end sessions (KillMode=control-group)" in done.stdout) == (1, True)
    assert "sshd could not be made to read its configuration again" in done.stderr
    assert (socket_host.files(), restarts(socket_host)) == (before, 0)
    assert not (socket_host.root / "reloads").exists()


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        # It would end everybody's sessions.
        ("control-group", None),
        ("process", '{}/bin/sshd -D -o "AuthorizedKeysCommand /bin/sh %%u" -o authorizedkeyscommanduser=%%u'),
        ("process", '{}/bin/sshd -D -o "AuthorizedKeysCommand /bin/sh %%u" \\'),
    ],
)
def test_what_cannot_be_taken_out_for_certain_is_left_to_its_owner(
    connect_host: Host, mode: str, line: str | None
) -> None:
    (connect_host.root / "KillMode").write_text(mode)
    if line is not None:
        package = connect_host.root / "etc/systemd/ssh.service.d/ec2-instance-connect.conf"
        package.write_text(f"[Service]\nExecStart=\nExecStart={line.format(connect_host.root)}\n")
    before = connect_host.files()
    done = connect_host.run()
    assert (done.returncode, "from the -o that it is started with" in done.stderr) == (1, True)
    assert connect_host.files() == before
    assert restarts(connect_host) == 0


def test_a_drop_in_of_others_is_left_alone(connect_host: Host) -> None:
    ours(connect_host).write_text("[Service]\nNice=5\n")
    before = connect_host.files()
    done = connect_host.run()
    assert (done.returncode, "zz-hatchway.conf is there, and this script did not" in done.stderr) == (1, True)
    assert connect_host.files() == before


def test_where_the_package_is_gone_the_unit_is_its_own_again(connect_host: Host) -> None:
    assert connect_host.run().returncode == 0
    (connect_host.root / "etc/systemd/ssh.service.d/ec2-instance-connect.conf").unlink()
    (connect_host.root / "bin/eic").unlink()
    done = connect_host.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert not ours(connect_host).exists()
    assert "every-authorized-keys" not in connect_host.drop_in.read_text()
    assert restarts(connect_host) == 2


def test_a_run_that_was_killed_before_sshd_was_started_anew_is_finished_by_the_next(
    connect_host: Host,
) -> None:
    before = (connect_host.root / "proc/812/cmdline").read_text()
    assert connect_host.run().returncode == 0
    complete = connect_host.files()
    (connect_host.root / "proc/812/cmdline").write_text(before)
    done = connect_host.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert (connect_host.files(), restarts(connect_host)) == (complete, 2)


def test_a_removal_that_was_killed_before_sshd_was_started_anew_is_finished_by_the_next(
    connect_host: Host,
) -> None:
    before = connect_host.files()
    assert connect_host.run().returncode == 0
    ours(connect_host).unlink()
    connect_host.drop_in.unlink()
    assert connect_host.run("--uninstall").returncode == 0
    assert connect_host.files() == before
    assert "AuthorizedKeysCommand" in (connect_host.root / "proc/812/cmdline").read_text()


@pytest.mark.parametrize("kind", ["fail", "KILL"])
def test_whatever_ends_the_script_on_its_way_the_next_run_of_either_kind_does_the_whole(
    connect_host: Host, kind: str
) -> None:
    make_steps(connect_host)
    sshd = f"#!/bin/sh\nROOT={connect_host.root}\n{PROGRAMS['sshd']}"
    (connect_host.root / "real/sshd").write_text(sshd)
    clean, started = connect_host.files(), (connect_host.root / "proc/812/cmdline").read_text()
    connect_host.keep("clean")
    steps = steps_of(connect_host)
    complete = connect_host.files()
    for number in list(tried(kind, steps))[:: 1 if EVERY_STEP else 12]:
        connect_host.put_back("clean")
        (connect_host.root / "proc/812/cmdline").write_text(started)
        done = run_with_fault(connect_host, number, kind)
        after = connect_host.files()
        if kind != "KILL" and done.returncode != 0 and after not in (clean, complete):
            # What is left is tidying up.
            assert connect_host.drop_in.exists()
        if number % 2:
            assert connect_host.run().returncode == 0
            assert connect_host.files() == complete
        assert connect_host.run("--uninstall").returncode == 0
        assert connect_host.files() == clean
        assert "AuthorizedKeysCommand" in (connect_host.root / "proc/812/cmdline").read_text()
