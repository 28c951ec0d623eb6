"""Access keys are made, listed, ended and made anew on the server; an AWS profile is not lost for it."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Installed
from tests.cli.test_account_commands import events_of

from hatchway.cli.main import app
from hatchway.errors import BadUsage, CommandFailed
from hatchway.store import TransactionEnded
from hatchway.store.sqlite_writer import SqliteWriter


class Keys:
    """The commands of an installation, run in this process."""

    def __init__(self, installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
        self.installed = installed
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        """What `hatchway access-key ARGUMENTS…` says."""
        return "".join(self._run(*arguments))

    def json(self, *arguments: str) -> Any:
        out, _ = self._run(*arguments, "--json")
        return json.loads(out)

    def _run(self, *arguments: str) -> tuple[str, str]:
        """What goes to standard output, and to standard error, where the log of a busy machine goes too."""
        app(["access-key", *arguments, "--data-dir", str(self.installed.directory)], standalone_mode=False)
        return self._capsys.readouterr()

    def create(self, *arguments: str) -> str:
        """A new key's id."""
        key_id: str = self.json("create", *arguments)["access_key_id"]
        return key_id

    def statuses(self, *arguments: str) -> dict[str, str]:
        return {key["access_key_id"]: key["status"] for key in self.json("list", *arguments)["access_keys"]}

    def refused(self, *arguments: str) -> str:
        """What a command that fails says; no key comes or goes by it."""
        before = self.statuses()
        with pytest.raises(CommandFailed) as failure:
            self(*arguments)
        assert self.statuses() == before
        return str(failure.value)


@pytest.fixture
def keys(installed: Installed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Keys:
    for name, value in installed.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return Keys(installed, capsys)


def credentials(keys: Keys) -> str:
    return Path(keys.installed.variables["AWS_SHARED_CREDENTIALS_FILE"]).read_text()


def test_all_keys_are_listed_roots_first(keys: Keys) -> None:
    made = [keys.create("bob"), keys.create("alice")]
    listed = keys.json("list")["access_keys"]
    assert [key["user"] for key in listed] == [None, "alice", "bob"]
    assert {key["access_key_id"] for key in listed[1:]} == set(made)
    lines = keys("list").splitlines()
    assert lines[0].split() == ["USER", "ACCESS", "KEY", "STATUS", "CREATED", "LAST", "USED", "SERVICE"]
    assert re.fullmatch(r"\(root\) +AKIA\w+ +Active +[\d-]+ [\d:]+ +never", lines[1])
    assert list(keys.statuses("alice")) == made[1:]
    assert list(keys.statuses("--root")) == [listed[0]["access_key_id"]]


def test_the_last_use_is_told_though_no_server_has_noted_it(keys: Keys) -> None:
    key_id = keys.create("alice")
    with closing(sqlite3.connect(keys.installed.directory / "hatchway.db")) as database:
        database.execute(
            "INSERT INTO audit_records VALUES ('e', datetime('now', '-5 seconds') || '.000000',"
            " 'ec2.amazonaws.com', 'DescribeVpcs', 'r', 'alice', ?, '{}', 1)",
            (key_id,),
        )
        database.commit()
    (listed,) = keys.json("list", "alice")["access_keys"]
    assert (listed["last_used"]["service"], listed["last_used"]["region"]) == ("ec2", "us-east-1")
    assert listed["last_used"]["at"].endswith("+00:00")


def test_a_key_is_deactivated_activated_and_deleted_and_the_trail_has_it(keys: Keys) -> None:
    key_id = keys.create("alice")
    assert keys("deactivate", key_id) == f"{key_id} of alice is inactive\n"
    assert keys.statuses("alice") == {key_id: "Inactive"}
    assert keys("deactivate", key_id) == f"{key_id} of alice was already inactive\n"
    assert keys.json("activate", key_id)["changed"] is True
    assert keys.statuses("alice") == {key_id: "Active"}
    assert keys("delete", key_id) == f"Deleted {key_id} of alice\n"
    assert keys.statuses("alice") == {}
    asked = [event["requestParameters"] for event in events_of(keys.installed, "UpdateAccessKey")]
    about = {"userName": "alice", "accessKeyId": key_id}
    assert asked == [{**about, "status": "Inactive"}, {**about, "status": "Active"}]
    (deletion,) = events_of(keys.installed, "DeleteAccessKey")
    assert deletion["requestParameters"] == about
    assert str(deletion["userIdentity"]["userName"]).startswith("os-user/")  # type: ignore[index]


@pytest.mark.parametrize("command", ["deactivate", "activate", "delete"])
def test_a_key_that_is_not_there_is_told_of(keys: Keys, command: str) -> None:
    assert "there is no access key 'AKIANOBODY'" in keys.refused(command, "AKIANOBODY")


@pytest.mark.parametrize("command", ["create", "rotate", "list"])
def test_a_user_who_is_not_there_is_told_of(keys: Keys, command: str) -> None:
    assert "there is no user 'carol'" in keys.refused(command, "carol")


@pytest.mark.parametrize("arguments", [("create",), ("rotate",), ("rotate", "alice", "--root")])
def test_a_user_or_root_must_be_named(keys: Keys, arguments: tuple[str, ...]) -> None:
    with pytest.raises(BadUsage, match="name a USER, or give --root"):
        keys(*arguments)


def test_a_rotation_leaves_the_former_key_until_it_is_ended(keys: Keys) -> None:
    first = keys.create("alice")
    said = keys("rotate", "alice")
    second = re.findall(r"AKIA\w+", said)[0]
    assert keys.statuses("alice") == {first: "Active", second: "Active"}
    assert f"hatchway access-key deactivate {first}" in said
    assert said.count("aws_secret_access_key = ") == 1
    assert "has 2 active access keys" in keys.refused("rotate", "alice")

    keys("deactivate", first)
    rotated = keys.json("rotate", "alice")
    assert rotated["deleted"] == first
    assert rotated["former"] == [{"access_key_id": second, "status": "Active"}]
    assert keys.statuses("alice") == {second: "Active", rotated["access_key_id"]: "Active"}


def test_a_rotation_beside_an_inactive_key_says_that_it_is(keys: Keys) -> None:
    first = keys.create("alice")
    keys("deactivate", first)
    assert f"{first} is inactive. To delete it: hatchway access-key delete {first}" in keys("rotate", "alice")
    assert keys.statuses("alice")[first] == "Inactive"


def test_a_rotation_at_once_ends_the_former_key(keys: Keys) -> None:
    first = keys.create("alice")
    rotated = keys.json("rotate", "alice", "--at-once")
    assert keys.statuses("alice") == {first: "Inactive", rotated["access_key_id"]: "Active"}
    assert len(events_of(keys.installed, "UpdateAccessKey")) == 1


def test_who_has_no_key_cannot_rotate_it(keys: Keys) -> None:
    assert "hatchway access-key create bob" in keys.refused("rotate", "bob")


def test_roots_key_is_made_anew_on_the_server(keys: Keys) -> None:
    (lost,) = keys.statuses("--root")
    made = keys.json("rotate", "--root", "--at-once")
    assert made["user"] is None
    assert keys.statuses("--root") == {lost: "Inactive", made["access_key_id"]: "Active"}
    keys("delete", lost)
    another = keys.create("--root")
    assert "hatchway access-key list --root" in keys.refused("create", "--root")
    assert set(keys.statuses("--root")) == {made["access_key_id"], another}
    assert "userName" not in events_of(keys.installed, "CreateAccessKey")[-1]["requestParameters"]  # type: ignore[operator]


def test_a_profile_that_is_there_is_not_written_over(keys: Keys) -> None:
    keys("create", "alice", "--profile", "lab")
    before = credentials(keys)
    said = keys.refused("create", "bob", "--profile", "lab")
    assert "there is a profile lab already, with access key AKIA" in said
    assert "https://127.0.0.1:8443" in said
    assert credentials(keys) == before


def test_nor_is_one_that_has_no_key_yet(keys: Keys) -> None:
    config = Path(keys.installed.variables["AWS_CONFIG_FILE"])
    config.parent.mkdir()
    config.write_text('[profile "lab"]\nregion = eu-west-1\n')
    assert "no access key" in keys.refused("create", "alice", "--profile", "lab")
    assert config.read_text() == '[profile "lab"]\nregion = eu-west-1\n'


def test_what_was_written_over_on_demand_is_told(keys: Keys) -> None:
    keys("create", "alice", "--profile", "lab")
    (alices,) = keys.statuses("alice")
    said = keys("create", "bob", "--profile", "lab", "--overwrite")
    assert f"profile lab had access key {alices} for https://127.0.0.1:8443, which it has no longer" in said
    (bobs,) = keys.statuses("bob")
    assert bobs in credentials(keys)
    assert alices not in credentials(keys)


def test_a_rotation_renews_the_users_own_profile_and_no_others(keys: Keys) -> None:
    keys("create", "alice", "--profile", "alice")
    keys("create", "bob", "--profile", "bob")
    before = credentials(keys)
    assert "there is a profile alice already" in keys.refused("rotate", "bob", "--profile", "alice")
    assert credentials(keys) == before
    (former,) = keys.statuses("alice")
    said = keys("rotate", "alice", "--profile", "alice")
    assert f"profile alice had access key {former}" in said
    assert former not in credentials(keys)


def test_a_profile_is_as_before_when_there_comes_to_be_no_key(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys("create", "alice", "--profile", "alice")
    before = credentials(keys)

    def not_committed(*_: object) -> None:
        raise TransactionEnded("the disk is full")

    monkeypatch.setattr(SqliteWriter, "_commit", not_committed)
    for arguments in (("rotate", "alice", "--profile", "alice"), ("create", "bob", "--profile", "bob")):
        with pytest.raises(TransactionEnded):
            keys(*arguments)
    assert credentials(keys) == before
