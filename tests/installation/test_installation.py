"""An installation, opened by a server."""

import os
from collections.abc import Callable

import pytest
from tests.cli.conftest import Installed

from hatchway.access.access_keys import put_check
from hatchway.access.vault import Vault
from hatchway.errors import CommandFailed
from hatchway.installation import installation
from hatchway.settings import DataDirectory
from hatchway.store import Store, Transaction
from hatchway.store.tables import sealed_secrets


def test_of_two_that_start_at_once_with_different_master_keys_on_a_store_without_secrets_one_is_refused(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = DataDirectory(installed.directory)
    store = Store.open(directory.store_url)
    with store.write() as tx:
        tx.sealed_secrets.delete_where(sealed_secrets.c.access_key_id.is_not(None))
    store.close()

    def second(tx: Transaction, vault: Vault, random_bytes: Callable[[int], bytes]) -> None:
        put_check(tx, Vault(bytes(32)), random_bytes)
        put_check(tx, vault, random_bytes)

    monkeypatch.setattr(installation, "put_check", second)
    with (
        pytest.raises(CommandFailed, match="master key"),
        installation.open_installation(directory, None, migrate=True),
    ):
        pass
    monkeypatch.undo()
    # It is not for ever: with the right key, here that of the other, it opens.
    monkeypatch.setenv("HATCHWAY_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    with installation.open_installation(directory, None, migrate=True) as opened:
        assert opened.account.id == "123456789012"
    assert os.environ["HATCHWAY_MASTER_KEY"]
