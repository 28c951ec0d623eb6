"""Rotating the master key, with vaults that follow its file as those of control planes do."""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Installed

from hatchway.administration import key_steps
from hatchway.administration.key_steps import Rotation, Step
from hatchway.administration.master_key import rotate
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation.installation import Installation, open_installation
from hatchway.installation.secret_files import put_file
from hatchway.keys.access_keys import create_access_key, secret_of
from hatchway.keys.key_files import MASTER_KEY, NEXT, FollowedKeyFile, Keys, read_master_keys
from hatchway.keys.vault import Unsealable, Vault
from hatchway.settings import DataDirectory
from hatchway.store import Store, sqlite_writer


@pytest.fixture
def installation(installed: Installed) -> Iterator[Installation]:
    with open_installation(DataDirectory(installed.directory), None) as opened:
        yield opened


def following(installation: Installation) -> Vault:
    followed = FollowedKeyFile(MASTER_KEY, installation.directory.master_key, {})
    return Vault(*followed.held.all, changed=followed.changed)


def make_key(installation: Installation, vault: Vault) -> tuple[str, str]:
    with installation.store.write() as tx:
        made = create_access_key(
            tx, vault, user_name="alice", now=installation.account.created_at, random_bytes=os.urandom
        )
    return made.key.id, made.secret


def opened(installation: Installation, vault: Vault, key_id: str) -> str | None:
    with installation.store.read() as tx:
        return secret_of(tx, vault, key_id)


def test_a_server_that_runs_opens_and_seals_secrets_before_and_after_each_step(
    installation: Installation,
) -> None:
    server = following(installation)
    before = server.key_id
    keys = [make_key(installation, server)]
    for step in Step:
        rotate(installation, step)
        assert all(opened(installation, server, key_id) == secret for key_id, secret in keys)
        keys.append(make_key(installation, server))
        assert all(opened(installation, following(installation), key_id) == secret for key_id, secret in keys)
    assert server.key_id != before
    (new,) = read_master_keys(installation.directory.master_key, {}).all
    assert all(opened(installation, Vault(new), key_id) == secret for key_id, secret in keys)


def test_all_steps_at_once_leave_one_key_and_a_record_of_each(installation: Installation) -> None:
    former = read_master_keys(installation.directory.master_key, {}).seals
    key_id, secret = make_key(installation, Vault(former))
    rotated = rotate(installation, *Step)
    keys = read_master_keys(installation.directory.master_key, {})
    assert keys.other is None
    assert rotated.key_ids == (Vault(keys.seals).key_id,)
    assert rotated.resealed >= 1
    assert rotated.unopened == 0
    with pytest.raises(Unsealable):
        opened(installation, Vault(former), key_id)
    with installation.store.read() as tx:
        events = [json.loads(each.body) for each in tx.audit_records.find()]
    steps = [each for each in events if each["eventName"] == "RotateMasterKey"]
    ids = {Step(each["requestParameters"]["step"]): each["responseElements"] for each in steps}
    assert ids.keys() == set(Step)
    assert ids[Step.ADD]["nextMasterKeyId"] == ids[Step.USE]["masterKeyId"] == rotated.key_ids[0]
    assert ids[Step.USE]["formerMasterKeyId"] == ids[Step.ADD]["masterKeyId"] == Vault(former).key_id
    assert base64.b64encode(keys.seals).decode() not in json.dumps(steps)
    with open_installation(installation.directory, None) as again:
        assert opened(again, again.vault, key_id) == secret


def test_steps_have_an_order_and_may_be_repeated(installation: Installation) -> None:
    with pytest.raises(BadUsage, match="run --step add first"):
        rotate(installation, Step.USE)
    added = rotate(installation, Step.ADD)
    assert rotate(installation, Step.ADD).key_ids == added.key_ids
    with pytest.raises(BadUsage, match="run --step use first"):
        rotate(installation, Step.DROP)
    used = rotate(installation, Step.USE)
    assert used.key_ids == added.key_ids[::-1]
    again = rotate(installation, Step.USE)
    assert (again.key_ids, again.resealed) == (used.key_ids, 0)
    assert rotate(installation, Step.DROP).key_ids == used.key_ids[:1]
    assert rotate(installation, Step.DROP).key_ids == used.key_ids[:1]


def test_what_was_sealed_under_the_former_key_meanwhile_is_sealed_anew_before_that_goes(
    installation: Installation,
) -> None:
    late = Vault(read_master_keys(installation.directory.master_key, {}).seals)
    rotate(installation, Step.ADD, Step.USE)
    key_id, secret = make_key(installation, late)
    rotate(installation, Step.DROP)
    assert opened(installation, following(installation), key_id) == secret


def test_a_command_that_is_under_way_while_the_key_is_rotated_seals_under_the_next(
    installation: Installation,
) -> None:
    with open_installation(installation.directory, None) as command:
        rotate(installation, *Step)
        key_id, secret = make_key(installation, command.vault)
    assert opened(installation, following(installation), key_id) == secret


def test_a_command_that_begins_while_the_key_is_rotated_goes_by_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, late = Store.check_schema, iter([True])

    def rotated(store: Store, *, older: bool = False) -> str:
        if next(late, False):
            rotate(installation, *Step)
        return check(store, older=older)

    monkeypatch.setattr(Store, "check_schema", rotated)
    with open_installation(installation.directory, None) as command:
        assert next(late, None) is None
        assert command.vault.key_id == following(installation).key_id


def recorded(installation: Installation) -> set[tuple[str, str | None]]:
    """The steps in the trail, and how they failed."""
    with installation.store.read() as tx:
        events = [json.loads(each.body) for each in tx.audit_records.find() if "RotateMasterKey" in each.body]
    return {(each["requestParameters"]["step"], each.get("errorCode")) for each in events}


@pytest.mark.parametrize("step", Step)
def test_a_step_is_on_record_before_it_changes_the_file(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """Killed between, it would have changed what seals, and the trail would know nothing."""
    rotate(installation, *list(Step)[: list(Step).index(step)])
    seen: list[bool] = []

    def put(path: Path, content: bytes, *, like: Path) -> None:
        seen.append((step.value, None) in recorded(installation))
        put_file(path, content, like=like)

    monkeypatch.setattr(key_steps, "put_file", put)
    rotate(installation, step)
    assert seen == [True]


def test_a_step_that_could_not_change_the_file_is_on_record_as_failed_and_can_be_done_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = installation.directory.master_key.read_bytes()

    def fail(path: Path, content: bytes, *, like: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(key_steps, "put_file", fail)
        with pytest.raises(CommandFailed, match=r"cannot write .*master.key: No space left on device"):
            rotate(installation, Step.ADD)
    assert installation.directory.master_key.read_bytes() == before
    assert recorded(installation) == {("add", None), ("add", "Failed")}
    assert len(rotate(installation, Step.ADD).key_ids) == 2


def test_a_key_that_another_command_has_added_meanwhile_stays(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = installation.directory.master_key
    original = Rotation._record
    other = Keys(read_master_keys(path, {}).seals, os.urandom(32), NEXT)

    def meanwhile(*arguments: Any) -> None:
        original(*arguments)
        put_file(path, other.text, like=path)

    monkeypatch.setattr(Rotation, "_record", meanwhile)
    rotate(installation, Step.ADD)
    assert read_master_keys(path, {}) == other


def test_the_former_key_goes_when_what_was_sealed_anew_is_on_the_disk(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that was killed may have left it where it is seen and not on the disk."""
    rotate(installation, Step.ADD, Step.USE)
    done: list[str] = []

    def put(path: Path, content: bytes, *, like: Path) -> None:
        done.append("file")
        put_file(path, content, like=like)

    monkeypatch.setattr(key_steps, "put_file", put)
    monkeypatch.setattr(sqlite_writer, "_sync", lambda file: done.append("disk"))
    rotate(installation, Step.DROP)
    assert done == ["disk", "file", "disk"]


def test_a_key_that_servers_cannot_follow_is_not_rotated_in_one_go(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCHWAY_MASTER_KEY", "x")
    with pytest.raises(BadUsage, match="the master key is in HATCHWAY_MASTER_KEY"):
        rotate(installation, *Step)
    monkeypatch.delenv("HATCHWAY_MASTER_KEY")
    if os.geteuid() != 0:
        pytest.skip("only root gives directories away")
    os.chown(installation.directory.path, 1234, 1234)
    with pytest.raises(BadUsage, match="reads it only when it starts"):
        rotate(installation, *Step)
    assert len(rotate(installation, Step.ADD).key_ids) == 2


def test_a_secret_that_was_altered_stops_nothing(installation: Installation) -> None:
    key_id, _ = make_key(installation, following(installation))
    with installation.store.write() as tx:
        sealed = tx.sealed_secrets.get(key_id)
        assert sealed is not None
        tx.sealed_secrets.put(
            replace(sealed, ciphertext=sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1]))
        )
    assert rotate(installation, *Step).unopened == 1


def test_a_machine_that_was_away_meanwhile_does_not_begin_to_seal_by_a_key_that_was_dropped(
    installation: Installation,
) -> None:
    path = installation.directory.master_key
    rotate(installation, Step.ADD)
    of_who_is_away = path.read_bytes()
    rotate(installation, Step.USE)
    current = path.read_bytes()
    path.write_bytes(of_who_is_away)
    # It follows yet: others open what it seals.
    with open_installation(installation.directory, None):
        path.write_bytes(current)
    rotate(installation, Step.DROP)
    path.write_bytes(of_who_is_away)
    with (
        pytest.raises(CommandFailed, match="it was replaced while this machine was away"),
        open_installation(installation.directory, None),
    ):
        pass
