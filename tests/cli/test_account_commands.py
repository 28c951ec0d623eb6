import json
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import FLEET, Installed


def events_of(installed: Installed, name: str) -> list[dict[str, object]]:
    """The events of one name in the audit trail, oldest first."""
    with sqlite3.connect(installed.directory / "hatchway.db") as store:
        query = "SELECT body FROM audit_records WHERE event_name = ? ORDER BY event_time"
        return [json.loads(body) for (body,) in store.execute(query, (name,))]


def alices(events: list[dict[str, object]]) -> list[dict[str, object]]:
    """Those about her; the installation has one about root's key."""
    return [event for event in events if "alice" in json.dumps(event["requestParameters"])]


def apply(installed: Installed, text: str, *options: str) -> "subprocess.CompletedProcess[str]":
    file = installed.directory.parent / "fleet.yaml"
    file.write_text(text)
    return installed.run("apply", str(file), *options)


def test_a_plan_changes_nothing_and_ends_with_0(installed: Installed) -> None:
    before = installed.run("export").stdout
    changed = FLEET + "  carol: {}\n"
    done = apply(installed, changed, "--plan")
    assert done.returncode == 0
    assert "+ user carol" in done.stdout
    assert installed.run("export").stdout == before
    assert apply(installed, changed).returncode == 0
    assert "carol" in installed.run("export").stdout


def test_what_was_applied_can_be_read_by_a_script(installed: Installed) -> None:
    done = apply(installed, FLEET + "  carol: {}\n", "--json")
    answer = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert answer["applied"] is True
    assert (answer["created"], answer["changed"], answer["deleted"]) == (1, 0, 0)
    (change,) = answer["changes"]
    assert (change["action"], change["kind"], change["name"]) == ("create", "user", "carol")


def test_pruning_takes_away_what_the_file_does_not_name(installed: Installed) -> None:
    without_bob = FLEET.replace("  bob: {}\n", "")
    assert apply(installed, without_bob).returncode == 0
    assert "bob" in installed.run("export").stdout
    assert apply(installed, without_bob, "--prune").returncode == 0
    assert "bob" not in installed.run("export").stdout


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("users: {a b: {}}\nvpcs: {lab: {cidr: 10.0.0.0/33}}\n", 2),
        ("account: '999999999999'\n", 1),
        ("- not a mapping\n", 1),
        ("users: [\n", 1),
    ],
)
def test_a_bad_file_ends_with_2_one_line_a_problem_and_changes_nothing(
    installed: Installed, text: str, problems: int
) -> None:
    before = installed.run("export").stdout
    done = apply(installed, text)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == problems
    assert all(line.startswith(f"hatchway: {installed.directory.parent / 'fleet.yaml'}: ") for line in lines)
    assert installed.run("export").stdout == before


def test_a_file_that_is_not_there_ends_with_2(installed: Installed) -> None:
    done = installed.run("apply", "/nowhere/fleet.yaml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_what_was_exported_applies_to_the_same_account_without_a_change(installed: Installed) -> None:
    done = apply(installed, installed.run("export").stdout, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changes"] == []


def test_a_key_is_printed_once_and_recorded_without_its_secret(installed: Installed) -> None:
    done = installed.run("access-key", "create", "alice", "--json")
    made = json.loads(done.stdout)
    assert list(made) == ["user", "access_key_id", "secret_access_key"]
    assert made["user"] == "alice"
    (event,) = alices(events_of(installed, "CreateAccessKey"))
    assert made["access_key_id"] in json.dumps(event)
    assert made["secret_access_key"] not in json.dumps(event)
    assert made["secret_access_key"].encode() not in (installed.directory / "hatchway.db").read_bytes()


def test_a_profile_says_where_and_whom_to_trust_and_the_secret_is_not_printed(installed: Installed) -> None:
    done = installed.run("access-key", "create", "alice", "--profile", "lab")
    assert done.returncode == 0, done.stderr
    credentials = Path(installed.variables["AWS_SHARED_CREDENTIALS_FILE"])
    secret = credentials.read_text().split("aws_secret_access_key = ")[1].split()[0]
    assert len(secret) == 40
    assert secret not in done.stdout + done.stderr
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert Path(installed.variables["AWS_CONFIG_FILE"]).read_text() == (
        "[profile lab]\nregion = us-east-1\nendpoint_url = https://127.0.0.1:8443\n"
        f"ca_bundle = {installed.directory / 'ca.pem'}\n"
    )


def test_there_is_no_key_when_its_profile_cannot_be_written(installed: Installed) -> None:
    credentials = Path(installed.variables["AWS_SHARED_CREDENTIALS_FILE"])
    credentials.parent.mkdir()
    credentials.write_text("damaged\n")
    done = installed.run("access-key", "create", "alice", "--profile", "lab")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert alices(events_of(installed, "CreateAccessKey")) == []


def test_a_user_has_two_keys_at_most(installed: Installed) -> None:
    for _ in range(2):
        assert installed.run("access-key", "create", "alice").returncode == 0
    done = installed.run("access-key", "create", "alice")
    assert done.returncode == 1
    assert "delete one" in done.stderr


def test_a_ca_bundle_of_the_environment_that_would_hide_the_profiles_is_pointed_out(
    installed: Installed,
) -> None:
    installed.variables["AWS_CA_BUNDLE"] = "/etc/ssl/certs/ca-certificates.crt"
    done = installed.run("access-key", "create", "alice", "--profile", "lab")
    assert done.returncode == 0
    assert "AWS_CA_BUNDLE" in done.stderr


def test_a_host_is_enrolled_by_name_or_id_and_its_former_token_ends_later_or_at_once(
    installed: Installed,
) -> None:
    first = installed.run("host", "enroll", "web-1").stdout.strip()
    done = installed.run("host", "enroll", "i-0123456789abcdef0", "--json")
    second = json.loads(done.stdout)
    assert "good until the new one is first used" in done.stderr
    third = installed.run("host", "enroll", "web-1", "--at-once")
    assert "no longer good" in third.stderr
    assert first.startswith("hwh_i-0123456789abcdef0_")
    assert second["instance_id"] == "i-0123456789abcdef0"
    assert second["token"] != first
    events = events_of(installed, "EnrollHost")
    assert [event["responseElements"] for event in events] == [
        {"replaced": False, "inForce": True},
        {"replaced": False, "inForce": False},
        {"replaced": True, "inForce": True},
    ]
    assert first not in json.dumps(events)


def test_the_host_script_is_a_shell_script_that_asks_where_it_is_told(installed: Installed) -> None:
    done = installed.run("host", "script", "web-1", "--api-url", "https://localhost:8443")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("#!/bin/sh\n")
    assert "https://localhost:8443" in done.stdout
    assert (installed.directory / "ca.pem").read_text() in done.stdout
    assert subprocess.run(["sh", "-n"], input=done.stdout, text=True, check=False).returncode == 0


def test_a_wrong_url_leaves_the_token_in_force(installed: Installed) -> None:
    installed.run("host", "enroll", "web-1")
    done = installed.run("host", "script", "web-1", "--api-url", "http://hatchway.example.com")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(events_of(installed, "EnrollHost")) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("host", "enroll", "web-9"),
        ("host", "script", "web-9"),
        ("access-key", "create", "nobody"),
    ],
)
def test_what_is_not_there_ends_with_1_and_one_line(installed: Installed, command: tuple[str, ...]) -> None:
    done = installed.run(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ("export",),
        ("apply", "fleet.yaml"),
        ("host", "enroll", "web-1"),
        ("access-key", "create", "alice"),
        ("trust", "install"),
        ("serve",),
    ],
)
def test_administration_without_a_data_directory_says_what_to_give(
    installed: Installed, command: tuple[str, ...]
) -> None:
    del installed.variables["HATCHWAY_DATA_DIR"]
    done = installed.run(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--data-dir" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_master_key_that_others_may_read_is_not_used(installed: Installed) -> None:
    (installed.directory / "master.key").chmod(0o644)
    done = installed.run("access-key", "create", "alice")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
