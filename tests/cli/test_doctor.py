"""`hatchway doctor`, beside a real server and without one (docs/health.md)."""

import json
import sqlite3
from contextlib import closing

import pytest
from tests.cli.conftest import Installed, Serve, create_endpoint
from tests.cli.in_process import run

from hatchway.doctor.findings import warning


def findings(installed: Installed, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = installed.run("doctor", "--json", *arguments)
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    return done.returncode, {each["check"]: (each["status"], each["seen"]) for each in answer["findings"]}


def test_it_looks_at_all_that_a_server_needs_and_tries_a_tunnel(installed: Installed, serve: Serve) -> None:
    server = serve(installed)
    port = server.urls["api"].rpartition(":")[2]
    code, found = findings(installed, "--api-name", "127.0.0.1", "--api-name", "10.255.255.9")
    assert found["API"] == ("ok", f"https://127.0.0.1:{port} is ready")
    assert found["files"][0] == found["store"][0] == found["certificate of 127.0.0.1"][0] == "ok"
    assert found["certificate for 127.0.0.1"][0] == "ok"
    assert found["certificate for 10.255.255.9"][0] == "error"
    assert found["certificate of localhost"][0] == "ok"
    assert "the AWS CLI connects only to port 443" in found["gateway localhost"][1]
    assert found["trial tunnel"] == (
        "ok",
        "1 MiB went through a tunnel on loopback and came back unchanged",
    )
    assert code == 1


def test_what_is_wrong_is_told_with_what_to_do(installed: Installed) -> None:
    (installed.directory / "gateway.key").chmod(0o644)
    (installed.directory / "hatchway.db").chmod(0o640)
    done = installed.run("doctor", "--no-trial", "--quiet")
    assert done.returncode == 1
    told = done.stdout.splitlines()
    for name in ("gateway.key", "hatchway.db"):
        path = installed.directory / name
        place = told.index(f"error    files: other users of this machine can access {path}")
        assert told[place + 1].startswith(f"         -> chmod 600 {path}")
    assert "warning  API: no server has run with this data directory" in told
    assert not [line for line in told if line.startswith("ok")]


def test_a_store_that_does_not_open_is_one_finding_among_the_others(installed: Installed) -> None:
    (installed.directory / "hatchway.db").write_bytes(b"no database" * 1000)
    code, found = findings(installed, "--no-trial")
    assert code == 1
    assert found["store"][0] == "error"
    assert found["disk"][0] == "ok"


def test_a_store_that_cannot_be_looked_through_is_not_called_sound(installed: Installed) -> None:
    with closing(sqlite3.connect(installed.directory / "hatchway.db")) as store:
        store.create_collation("of_others", lambda one, other: 0)
        store.execute("CREATE INDEX of_others ON users (name COLLATE of_others)")
    code, found = findings(installed, "--no-trial")
    assert code == 1
    assert found["store"][0] == "error"
    assert "no such collation sequence" in found["store"][1]


def test_a_profile_is_looked_at_from_anywhere(installed: Installed, serve: Serve) -> None:
    serve(installed)
    made = installed.run("access-key", "create", "alice", "--profile", "alice")
    assert made.returncode == 0, made.stderr
    create_endpoint(installed)
    elsewhere = Installed(installed.directory, dict(installed.variables))
    del elsewhere.variables["HATCHWAY_DATA_DIR"]
    code, found = findings(elsewhere, "--profile", "alice")
    assert found["credentials"] == ("ok", "the API knows you as arn:aws:iam::123456789012:user/alice")
    assert found["API"][0] == found["profile"][0] == "ok"
    assert found["name localhost"][0] == "warning"
    assert code == 3
    code, found = findings(elsewhere, "--profile", "nobody")
    assert code == 1
    assert found["profile"][0] == "error"


def test_a_terminal_is_told_no_orders_by_what_a_server_has_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = warning("credentials", "the API knows you as \x9b2J\n\x1b[2J", "ask \u202e")
    monkeypatch.setattr("hatchway.doctor.client_examination.examine_client", lambda profile: iter([found]))
    ran = run("doctor", "--profile", "alice")
    assert ran.code == 3
    assert all(line.isprintable() for line in ran.output.splitlines())
    assert len(ran.output.splitlines()) == 2
