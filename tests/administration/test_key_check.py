"""A check of the master key that was altered locks nobody out for good, and a wrong key in for never."""

import os
from dataclasses import replace

import pytest
from tests.cli.conftest import Installed

from hatchway.administration.key_check import mend_check
from hatchway.errors import CommandFailed
from hatchway.installation.installation import open_installation
from hatchway.keys.access_keys import create_access_key
from hatchway.keys.key_files import Keys
from hatchway.keys.vault import Vault
from hatchway.settings import DataDirectory

CHECK = "master-key-check"


@pytest.fixture
def directory(installed: Installed) -> DataDirectory:
    directory = DataDirectory(installed.directory)
    with open_installation(directory, None) as opened, opened.store.write() as tx:
        check = tx.sealed_secrets.get(CHECK)
        assert check is not None
        damaged = check.ciphertext[:-1] + bytes([check.ciphertext[-1] ^ 1])
        tx.sealed_secrets.put(replace(check, ciphertext=damaged))
    return directory


def refused(directory: DataDirectory) -> str:
    with pytest.raises(CommandFailed) as caught, open_installation(directory, None):
        pass
    return str(caught.value)


def test_an_altered_check_is_told_from_a_wrong_key_and_put_anew(directory: DataDirectory) -> None:
    said = refused(directory)
    assert "opens 1 of the store's 1 secrets, but does not match the store's check of it" in said
    assert "run 'hatchway master-key mend-check'" in said
    with open_installation(directory, None, checked=False) as opened:
        mended = mend_check(opened)
        assert (mended.changed, mended.opened, mended.number) == (True, 1, 1)
        with opened.store.read() as tx:
            events = [each for each in tx.audit_records.find() if "MendMasterKeyCheck" in each.body]
        assert len(events) == 1
    with open_installation(directory, None) as opened:
        assert not mend_check(opened).changed


def test_a_wrong_key_is_refused_and_mends_nothing(directory: DataDirectory) -> None:
    directory.master_key.write_bytes(Keys(os.urandom(32)).text)
    assert "does not belong to this store, because it opens none of its secrets" in refused(directory)
    with (
        open_installation(directory, None, checked=False) as opened,
        pytest.raises(CommandFailed, match="opens 0 of the store's 1 secrets"),
    ):
        mend_check(opened)


def test_a_key_that_opens_no_more_than_half_is_not_taken_for_the_stores(directory: DataDirectory) -> None:
    with open_installation(directory, None, checked=False) as opened:
        with opened.store.write() as tx:
            create_access_key(
                tx,
                Vault(os.urandom(32)),
                user_name="bob",
                now=opened.account.created_at,
                random_bytes=os.urandom,
            )
        with pytest.raises(CommandFailed, match="opens 1 of the store's 2 secrets"):
            mend_check(opened)


def test_where_nothing_else_is_sealed_any_key_is_the_stores(directory: DataDirectory) -> None:
    with open_installation(directory, None, checked=False) as opened:
        with opened.store.write() as tx:
            for key in tx.access_keys.find():
                tx.sealed_secrets.delete(key.id)
        assert mend_check(opened).changed
