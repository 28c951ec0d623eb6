"""Another CA while a real server runs and a profile's user works."""

import signal
import time
from pathlib import Path

from tests.cli.conftest import Installed, Serve


def call(installed: Installed) -> str:
    """What the API says of alice, by her profile; empty where she does not trust it."""
    done = installed.run("hosts", "--profile", "alice", "--json")
    return done.stdout if done.returncode == 0 else ""


def test_a_profile_that_is_brought_up_to_date_in_time_notices_nothing(
    installed: Installed, serve: Serve, tmp_path: Path
) -> None:
    server = serve(installed)
    made = installed.run("access-key", "create", "alice", "--profile", "alice")
    assert made.returncode == 0, made.stderr
    # As on her own machine, where she has a copy.
    bundle = tmp_path / "her.crt"
    bundle.write_bytes((installed.directory / "ca.pem").read_bytes())
    config = tmp_path / "aws" / "config"
    config.write_text(config.read_text().replace(str(installed.directory / "ca.pem"), str(bundle)))
    assert "i-0123456789abcdef0" in call(installed)

    added = installed.run("ca", "rotate", "--step", "add", "--name", "gateway.elsewhere.example")
    assert added.returncode == 0, added.stderr
    assert "then: hatchway ca rotate --step use" in added.stdout
    former = bundle.read_bytes()
    asked = installed.run("trust", "update", "--profile", "alice")
    assert (asked.returncode, asked.stderr.endswith("give --name gateway.elsewhere.example\n")) == (1, True)
    assert bundle.read_bytes() == former
    update = installed.run("trust", "update", "--profile", "alice", "--name", "gateway.elsewhere.example")
    assert f"{bundle} now trusts: " in update.stdout
    assert bundle.read_bytes() == (installed.directory / "ca.pem").read_bytes()
    assert installed.run("trust", "update", "--profile", "alice").stdout == f"{bundle} is up to date\n"

    used = installed.run("ca", "rotate", "--step", "use")
    assert "gateway.elsewhere.example" in used.stdout
    early = installed.run("ca", "rotate", "--step", "drop")
    assert early.returncode == 1
    assert "send the server a SIGHUP" in early.stderr
    server.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 30
    while installed.run("ca", "rotate", "--step", "drop").returncode != 0:
        assert time.monotonic() < until
    assert "i-0123456789abcdef0" in call(installed)
    assert "now trusts" in installed.run("trust", "update", "--profile", "alice").stdout
    assert "i-0123456789abcdef0" in call(installed)

    bundle.write_bytes(former)
    late = installed.run("trust", "update", "--profile", "alice")
    assert late.returncode == 1
    assert "see that the API is there, and trusted by" in late.stderr
    assert bundle.read_bytes() == former
    wrong = installed.run("ca", "rotate", "--step", "undo")
    assert (wrong.returncode, wrong.stderr) == (2, "hatchway: --step 'undo' is not add, use or drop\n")
