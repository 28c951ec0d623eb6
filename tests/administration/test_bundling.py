"""`access-key create --bundle`: refused where nobody else could use it; and no bundle without a key."""

import configparser
import io
import json
import sqlite3
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Installed, listen
from typer.testing import CliRunner

from hatchway.administration.access_keys import KeysOnServer
from hatchway.administration.bundling import IntoBundle, ready_bundle, removed_on_failure
from hatchway.cli.main import app
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation.installation import Installation


@pytest.fixture
def into(tmp_path: Path) -> IntoBundle:
    return IntoBundle(target=tmp_path / "alice.zip", profile="alice", endpoint_url="https://10.9.9.9:8443")


def test_a_bundle_says_what_to_reach_and_whom_to_trust(installation: Installation, into: IntoBundle) -> None:
    listen(installation, "10.9.9.9:8443")
    ready = ready_bundle(installation, "alice", into)
    assert ready.url == "https://10.9.9.9:8443"
    assert ready.ca == installation.directory.ca_certificate.read_bytes()
    assert ready.places == ("10.9.9.9, port 8443",)
    (note,) = ready.notes
    assert "gateway's DNS name is localhost" in note
    assert "SECRET" not in repr(ready)


@pytest.mark.parametrize(
    ("url", "problem"),
    [(None, "leads nowhere on another machine"), ("https://10.7.7.7", "certificate is not for 10.7.7.7")],
)
def test_what_another_machine_could_not_use_is_refused(
    installation: Installation, into: IntoBundle, url: str | None, problem: str
) -> None:
    listen(installation, "0.0.0.0:8443")
    with pytest.raises(BadUsage, match=problem):
        ready_bundle(installation, "alice", replace(into, endpoint_url=url))


def test_a_ca_of_ones_own_takes_the_private_ones_place(
    installation: Installation, into: IntoBundle, tmp_path: Path
) -> None:
    certificate = installation.directory.ca_certificate.read_text()
    own = tmp_path / "own.pem"
    own.write_text(certificate.replace("\n", "\r\n"))
    ready = ready_bundle(
        installation, "alice", replace(into, ca_certificate=own, endpoint_url="https://hatchway.example")
    )
    assert ready.ca == certificate.encode()
    own.write_text("no certificate")
    with pytest.raises(BadUsage, match="holds no CA certificate"):
        ready_bundle(installation, "alice", replace(into, ca_certificate=own))


def test_there_is_no_key_without_its_bundle(installation: Installation, into: IntoBundle) -> None:
    listen(installation, "10.9.9.9:8443")
    into.target.write_text("somebody else's")
    with pytest.raises(CommandFailed, match="already exists"):
        KeysOnServer(installation).create("bob", into)
    assert into.target.read_text() == "somebody else's"
    with installation.store.read() as tx:
        assert tx.access_keys.count(user_name="bob") == 0


@pytest.mark.parametrize("name", ["alice.zip", "alice"])
def test_there_is_no_bundle_without_its_key(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    with pytest.raises(ZeroDivisionError), removed_on_failure(target):
        if target.suffix:
            target.write_text("")
        else:
            target.mkdir()
        raise ZeroDivisionError
    assert not target.exists()


def test_the_secret_is_in_the_bundle_and_not_printed(installed: Installed, tmp_path: Path) -> None:
    target = tmp_path / "alice.zip"
    arguments = ["access-key", "create", "alice", "--bundle", str(target), "--json"]
    data_dir = ["--data-dir", str(installed.directory), "--endpoint-url", "https://10.9.9.9:8443"]
    done = CliRunner().invoke(app, [*arguments, *data_dir])
    assert isinstance(done.exception, BadUsage)
    # As a server that listens there would have it.
    (installed.directory / "api.json").write_text('{"url": "https://10.9.9.9:8443", "private_ca": false}')
    done = CliRunner().invoke(app, [*arguments, *data_dir])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["user"], answer["bundle"]) == ("alice", str(target))
    with zipfile.ZipFile(target) as archive:
        parser = configparser.ConfigParser()
        parser.read_file(io.TextIOWrapper(archive.open("hatchway-alice/credentials")))
    assert parser["alice"]["aws_access_key_id"] == answer["access_key_id"]
    assert parser["alice"]["aws_secret_access_key"] not in done.output
    with sqlite3.connect(installed.directory / "hatchway.db") as store:
        keys = store.execute("SELECT id FROM access_keys WHERE user_name = 'alice'").fetchall()
    assert keys == [(answer["access_key_id"],)]


def test_a_ca_without_a_bundle_is_refused(installed: Installed) -> None:
    arguments = ["access-key", "create", "alice", "--ca-certificate", "ca.pem"]
    done = CliRunner().invoke(app, [*arguments, "--data-dir", str(installed.directory)])
    assert isinstance(done.exception, BadUsage)
    assert "--bundle" in str(done.exception)
