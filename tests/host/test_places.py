"""The script's files beside a server's, those of earlier versions, and runs that fail or end at any step."""

import os
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from tests.host.pretend import Done, Host, make_host

from hatchway.host.script import STANDARD_LAYOUT

SERVER_FILES = ("hatchway.db", "master.key", "ca.key", "ca.pem", "server.pem", "audit.jsonl")


def place_server(host: Host) -> None:
    for place in ("etc/hatchway", "var/hatchway"):
        (host.root / place).mkdir(exist_ok=True)
    (host.root / "etc/hatchway/environment").write_text("HATCHWAY_STORE_URL=x\n")
    for name in SERVER_FILES:
        (host.root / "var/hatchway" / name).write_text(name)


def test_the_scripts_places_are_not_the_servers() -> None:
    layout = STANDARD_LAYOUT
    assert {layout.directory, layout.state}.isdisjoint({"/etc/hatchway", "/var/lib/hatchway"})


def test_a_server_on_the_host_keeps_every_file(host: Host) -> None:
    place_server(host)
    before = host.files()
    assert host.run().returncode == 0
    assert before.items() <= {**host.files(), "account": before["account"]}.items()
    (host.root / "answer").write_text("403")
    assert host.run().returncode == 1
    assert host.run("--uninstall").returncode == 0
    assert host.files() == before
    assert host.run().returncode == 1
    assert host.files() == before


def test_what_earlier_versions_placed_moves(host: Host) -> None:
    clean = host.files()
    host.place_former()
    done = host.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert not (host.root / "etc/hatchway").exists()
    assert not (host.root / "var/hatchway").exists()
    assert f"{host.directory}/authorized-keys" in host.drop_in.read_text()
    assert host.run("--uninstall").returncode == 0
    assert host.files() == clean


def test_what_earlier_versions_placed_stays_when_the_new_cannot_take_its_place(one_host: Host) -> None:
    one_host.place_former()
    before = one_host.files()
    (one_host.root / "answer").write_text("403")
    assert one_host.run().returncode == 1
    assert one_host.files() == before
    sshd = one_host.root / "bin/sshd"
    sshd.write_text(sshd.read_text().replace("Nonsense", "hatchway-host"))
    (one_host.root / "answer").write_text("200")
    assert one_host.run().returncode == 1
    assert one_host.files() == before


def test_what_earlier_versions_placed_can_be_removed_at_once(one_host: Host) -> None:
    clean = one_host.files()
    one_host.place_former()
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == clean


def test_of_a_server_beside_what_earlier_versions_placed_nothing_is_removed(one_host: Host) -> None:
    one_host.place_former()
    place_server(one_host)
    assert one_host.run().returncode == 0
    assert (one_host.root / "etc/hatchway/environment").exists()
    assert not (one_host.root / "etc/hatchway/curl.conf").exists()
    assert {path.name for path in (one_host.root / "var/hatchway").iterdir()} == set(SERVER_FILES)


@pytest.mark.parametrize("arguments", [(), ("--uninstall",)])
def test_a_servers_directory_that_an_earlier_version_took_is_to_be_given_back_first(
    one_host: Host, arguments: tuple[str, ...]
) -> None:
    one_host.place_former()
    place_server(one_host)
    (one_host.root / "owner").write_text("hatchway-keys\n")
    before = one_host.files()
    done = one_host.run(*arguments)
    state = one_host.root / "var/hatchway"
    assert done.returncode == 1
    assert f"chown --reference={state}/hatchway.db {state}" in done.stderr
    assert one_host.files() == before


@pytest.mark.parametrize("arguments", [(), ("--uninstall",)])
def test_a_servers_keys_among_what_earlier_versions_placed_are_refused(
    one_host: Host, arguments: tuple[str, ...]
) -> None:
    one_host.place_former()
    (one_host.root / "etc/hatchway/ca.key").write_text("key")
    before = one_host.files()
    done = one_host.run(*arguments)
    assert done.returncode == 1
    assert "by hand" in done.stderr
    assert one_host.files() == before


@pytest.mark.parametrize("place", ["etc/hatchway-host", "var/hatchway-host"])
def test_a_directory_that_others_made_is_left_alone(one_host: Host, place: str) -> None:
    (one_host.root / place).mkdir()
    (one_host.root / place / "ca.pem").write_text("theirs")
    before = one_host.files()
    assert one_host.run().returncode == 1
    assert one_host.run("--uninstall").returncode in (0, 1)
    assert one_host.files() == before


@pytest.mark.parametrize("place", ["etc/hatchway-host", "var/hatchway-host"])
def test_a_symbolic_link_in_a_places_stead_is_not_followed(one_host: Host, place: str) -> None:
    elsewhere = one_host.root / "elsewhere"
    elsewhere.mkdir()
    (one_host.root / place).symlink_to(elsewhere)
    done = one_host.run()
    assert (done.returncode, "symbolic link" in done.stderr) == (1, True)
    assert one_host.run("--uninstall").returncode == 0
    assert list(elsewhere.iterdir()) == []
    assert (one_host.root / place).is_symlink()


def test_a_symbolic_link_in_a_written_files_stead_is_not_followed(one_host: Host) -> None:
    one_host.run()
    victim = one_host.root / "victim"
    victim.write_text("theirs")
    for name in ("ca.pem", "curl.conf", "authorized-keys"):
        (one_host.directory / f"{name}.new").symlink_to(victim)
    assert one_host.run().returncode == 0
    assert victim.read_text() == "theirs"


def test_a_drop_in_of_others_is_left_alone(one_host: Host) -> None:
    one_host.drop_in.write_text("PasswordAuthentication no\n")
    before = one_host.files()
    assert one_host.run().returncode == 1
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before


@pytest.mark.parametrize("suffix", [".old", ".new"])
@pytest.mark.parametrize("link", [False, True])
def test_what_others_put_beside_the_drop_in_is_left_alone(one_host: Host, suffix: str, link: bool) -> None:
    path = Path(f"{one_host.drop_in}{suffix}")
    if link:
        path.symlink_to(one_host.sshd_config)
    else:
        path.write_text("PasswordAuthentication no\n")
    before = one_host.files()
    done = one_host.run()
    assert (done.returncode, f"{path.name} is there" in done.stderr) == (1, True)
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before


@pytest.mark.parametrize("run", ["install", "uninstall"])
def test_no_link_is_followed_by_any_run(one_host: Host, run: str) -> None:
    assert one_host.run().returncode == 0
    elsewhere = one_host.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "no-answer-since").write_text("theirs")
    (elsewhere / "made").write_text("theirs\n")
    arguments = ["--uninstall"] if run == "uninstall" else []
    state = Path(one_host.layout.state)
    shutil.rmtree(state)
    state.symlink_to(elsewhere)
    done = one_host.run(*arguments)
    assert (done.returncode, "symbolic link" in done.stderr) == (1, True)
    state.unlink()
    made = Path(one_host.layout.directory, "made")
    made.unlink()
    made.symlink_to(elsewhere / "made")
    done = one_host.run(*arguments)
    assert (done.returncode, "symbolic link" in done.stderr) == (1, True)
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == {
        "no-answer-since": "theirs", "made": "theirs\n"
    }  # fmt: skip


def test_a_user_of_that_name_who_is_somebody_else_is_left_alone(one_host: Host) -> None:
    (one_host.root / "account").write_text("somebody\n")
    (one_host.root / "entry").write_text("hatchway-keys:x:1000:1000::/home/keys:/bin/bash\n")
    before = one_host.files()
    done = one_host.run()
    assert (done.returncode, "another name" in done.stderr) == (1, True)
    assert one_host.files() == before


def test_a_user_who_was_there_before_outlives_the_removal(one_host: Host) -> None:
    (one_host.root / "account").write_text("made by the administrator\n")
    before = one_host.files()
    assert one_host.run().returncode == 0
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before


@pytest.mark.parametrize("mode", ["0 775", "0 757", "1000 755", "0 1777"])
def test_a_place_whose_command_sshd_would_not_run_is_refused(one_host: Host, mode: str) -> None:
    (one_host.root / "mode").write_text(mode)
    before = one_host.files()
    done = one_host.run()
    assert (done.returncode, "others than root may write" in done.stderr) == (1, True)
    assert one_host.files() == before


@pytest.mark.parametrize("umask", ["000", "022", "077", "777"])
def test_the_callers_umask_changes_nothing(tmp_path: Path, umask: str) -> None:
    made = []
    for name, mask in (("reference", "022"), ("other", umask)):
        (tmp_path / name).mkdir()
        host = make_host(tmp_path / name, f"{tmp_path}/sh-{mask}")
        Path(host.shell).write_text(f'#!/bin/sh\numask {mask}\nexec sh "$@"\n')
        Path(host.shell).chmod(0o755)
        shutil.rmtree(host.root / "etc/ssh/sshd_config.d")
        assert host.run().returncode == 0
        made.append(list(host.files()))
        assert host.run("--uninstall").returncode == 0
        assert not (host.root / "etc/ssh/sshd_config.d").exists()
    assert made[0] == made[1]


# Programs that change something, or whose failure does. The others only look.
STEPS = "cat chmod chown cp curl ln mkdir mv rm rmdir sshd systemctl useradd userdel"


# Starts no program: the script is run for each of its steps.
QUICK_SSHD = r"""
if [ "$1" = -t ]; then exit 0; fi
runs=none runs_as=none
if [ -e "$drop_in" ]; then
    while read -r keyword value; do
        case $keyword in
        AuthorizedKeysCommand) runs=$value ;;
        AuthorizedKeysCommandUser) runs_as=$value ;;
        esac
    done <"$drop_in"
fi
echo "authorizedkeyscommand $runs"
echo "authorizedkeyscommanduser $runs_as"
"""


def make_steps(host: Host) -> None:
    """Has each step of the script noted; the one whose number `fault` holds fails, or ends the script."""
    aside = host.root / "real"
    aside.mkdir()
    (host.root / "bin/sshd").write_text(f"#!/bin/sh\ndrop_in={shlex.quote(str(host.drop_in))}\n{QUICK_SSHD}")
    (host.root / "users").write_text("root:x:0:0:root:/root:/bin/bash\n")
    for name in STEPS.split():
        program = host.root / "bin" / name
        real = aside / name
        if program.exists():
            program.rename(real)
        else:
            found = shutil.which(name)
            assert found is not None
            real.symlink_to(found)
        program.write_text(
            f"#!/bin/sh\nroot={shlex.quote(str(host.root))}\n"
            f'echo {name} >>"$root/steps"\n'
            'if { read -r number kind <"$root/fault"; } 2>/dev/null; then\n'
            '    taken=0; while read -r _; do taken=$((taken + 1)); done <"$root/steps"\n'
            '    if [ "$taken" = "$number" ]; then\n'
            '        case $kind in fail) exit 1 ;; *) kill -s "$kind" 0; sleep 10 ;; esac\n'
            "    fi\nfi\n"
            f'exec {shlex.quote(str(real))} "$@"\n'
        )
        program.chmod(0o755)


def steps_of(host: Host, *arguments: str) -> int:
    (host.root / "steps").write_text("")
    (host.root / "fault").unlink(missing_ok=True)
    assert host.run(*arguments).returncode == 0
    return len((host.root / "steps").read_text().splitlines())


def run_with_fault(host: Host, number: int, kind: str, *arguments: str) -> Done:
    (host.root / "steps").write_text("")
    (host.root / "fault").write_text(f"{number} {kind}\n")
    done = host.run(*arguments)
    (host.root / "fault").unlink()
    return done


# `make faults` has each kind at each step. `make test` has one of six: between them, every other step once.
KINDS = ("fail", "TERM", "KILL")
EVERY_STEP = bool(os.environ.get("HATCHWAY_FAULT_ROUNDS"))


def tried(kind: str, steps: int) -> range:
    """The numbers of the steps at which the script is to end in this way."""
    return range(1, steps + 1) if EVERY_STEP else range(1 + KINDS.index(kind), steps + 1, 2 * len(KINDS))


@pytest.mark.parametrize(("kind", "former"), [("fail", False), ("TERM", True)])
def test_an_installation_that_fails_or_is_ended_at_any_step_leaves_the_host_as_it_was(
    one_host: Host, kind: str, former: bool
) -> None:
    make_steps(one_host)
    if former:
        one_host.place_former()
    before = one_host.files()
    one_host.keep("before")
    steps = steps_of(one_host)
    complete = one_host.files()
    in_effect = one_host.drop_in.read_text()
    assert steps > 30
    for number in tried(kind, steps):
        one_host.put_back("before")
        done = run_with_fault(one_host, number, kind)
        after = one_host.files()
        if done.returncode == 0:
            assert after == complete
        if after != before:
            # From where it works, what is left is tidying up, which the next run does.
            assert one_host.drop_in.read_text() == in_effect
            if after != complete:
                assert one_host.run().returncode == 0
                assert one_host.files() == complete


def test_after_an_installation_that_is_killed_at_any_step_either_run_does_the_whole(one_host: Host) -> None:
    make_steps(one_host)
    clean = one_host.files()
    one_host.place_former()
    steps = steps_of(one_host)
    complete = one_host.files()
    one_host.run("--uninstall")
    for count, number in enumerate(tried("KILL", steps)):
        one_host.place_former()
        assert run_with_fault(one_host, number, "KILL").returncode in (0, -signal.SIGKILL)
        if count % 3 == 0:
            assert one_host.run().returncode == 0
            assert one_host.files() == complete
        done = one_host.run("--uninstall")
        assert (done.returncode, done.stderr) == (0, "")
        assert one_host.files() == clean


@pytest.mark.parametrize("kind", KINDS)
def test_a_removal_that_fails_or_ends_at_any_step_is_completed_by_the_next(one_host: Host, kind: str) -> None:
    make_steps(one_host)
    clean = one_host.files()
    one_host.run()
    one_host.keep("set up")
    steps = steps_of(one_host, "--uninstall")
    assert steps > 8
    for number in tried(kind, steps):
        one_host.put_back("set up")
        run_with_fault(one_host, number, kind, "--uninstall")
        assert one_host.run("--uninstall").returncode == 0
        assert one_host.files() == clean
