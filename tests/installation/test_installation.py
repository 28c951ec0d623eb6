"""An installation, opened by a server."""

import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.cli.conftest import Installed
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.administration import certificate_authority, gateway_key
from hatchway.administration.key_steps import Step
from hatchway.administration.store_copy import copy_whole_store
from hatchway.domain.machine import KeyState, Machine, Role
from hatchway.errors import CommandFailed
from hatchway.installation import installation
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import write_private
from hatchway.keys.access_keys import put_check
from hatchway.keys.machines import AUTHORITY
from hatchway.keys.vault import Vault
from hatchway.pki.certificates import certificates_in, fingerprint
from hatchway.settings import DataDirectory
from hatchway.store import Store, Transaction
from hatchway.store.tables import sealed_secrets, sealed_signing_keys

JOINED = Joined(
    machine_id="m-0123456789abcdef0",
    token="hwm_",
    role=Role.CONTROL,
    api_urls=("https://localhost:1",),
    trusts_ca=True,
    private_key=bytes(32),
)
MACHINE = Machine(
    id=JOINED.machine_id,
    name="cp2",
    role=Role.CONTROL,
    names=(),
    joined_at=datetime.now(UTC),
    seen_at=datetime.now(UTC),
    seen_from="192.0.2.1",
)


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


def serve(directory: DataDirectory) -> None:
    """As a server opens it when it starts."""
    with installation.open_installation(directory, None, migrate=True):
        pass


def test_keys_whose_store_is_gone_are_not_to_be_made_anew_but_restored_or_led_to_their_store(
    installed: Installed,
) -> None:
    # 'hatchway init', which is the advice where there is nothing, refuses a directory with keys.
    directory = DataDirectory(installed.directory)
    directory.store.write_bytes(b"")
    with (
        pytest.raises(CommandFailed, match="restore it from a backup"),
        installation.open_installation(directory, None, migrate=True),
    ):
        pass
    for path in installed.directory.glob("hatchway.db*"):
        path.unlink()
    with (
        pytest.raises(CommandFailed, match=r"--store-url \(HATCHWAY_STORE_URL\).* restore a backup"),
        installation.open_installation(directory, None),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "rotate", "what", "state_it"),
    [
        (
            "gateway.key",
            lambda opened, *steps: gateway_key.rotate(opened, *map(Step, steps)),
            "the gateway key in",
            "gateway-key rotate --step drop",
        ),
        (
            "ca.pem",
            lambda opened, *steps: [
                certificate_authority.rotate(opened, certificate_authority.Step(step)) for step in steps
            ],
            "the private CA in",
            "ca rotate --step drop",
        ),
    ],
)
def test_a_server_does_not_start_with_a_key_or_ca_of_before_its_rotation(
    name: str, rotate: Callable[..., Any], what: str, state_it: str, installed: Installed
) -> None:
    """Its file restored from a backup, beside a store of now. Or it is right, and the store of before: then a
    command says so, which is not refused."""
    directory = DataDirectory(installed.directory)
    file = directory.path / name
    states = [file.read_bytes()]
    for step in ("add", "use", "drop"):
        if step == "drop":
            directory.server_certificate.unlink()
        with installation.open_installation(directory, None) as opened:
            rotate(opened, step)
            with opened.store.write() as tx:
                tx.sealed_signing_keys.delete_where(sealed_signing_keys.c.access_key_id.is_not(None))
        states.append(file.read_bytes())
        serve(directory)
        for behind, before in enumerate(reversed(states)):
            file.write_bytes(before)
            if behind < 2:
                serve(directory)
                continue
            with pytest.raises(CommandFailed, match=rf"{what} .*{name} is not the one of this store"):
                serve(directory)
        file.write_bytes(states[-1])
    file.write_bytes(states[0])
    with pytest.raises(CommandFailed, match=f"run 'hatchway {state_it}'"):
        serve(directory)
    with installation.open_installation(directory, None) as opened:
        rotate(opened, "drop")
    serve(directory)


def test_a_machine_that_joined_starts_with_a_ca_that_is_trusted_yet_and_with_no_other(
    installed: Installed,
) -> None:
    """It may have been away while the next one came to issue, and issues nothing itself."""
    directory = DataDirectory(installed.directory)
    (own,) = map(fingerprint, certificates_in(directory.ca_certificate.read_bytes()))
    write_private(directory.machine, JOINED.text)
    for key_ids, starts in ((("next", own), True), (("next",), False)):
        with closing(Store.open(directory.store_url)) as store, store.write() as tx:
            tx.key_states.put(KeyState(kind=AUTHORITY, key_ids=key_ids))
            tx.machines.put(MACHINE)
        if starts:
            serve(directory)
            continue
        with pytest.raises(CommandFailed, match="On a machine that joined, run hatchway join --again"):
            serve(directory)


def test_a_command_whose_database_server_hangs_ends_and_says_so(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "COMMANDS_READ_TIMEOUT", 0.5)
    directory = DataDirectory(installed.directory)
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        url = server.new_database()
        copy_whole_store(directory.store_url, url, datetime.now(UTC))
        with (
            pytest.raises(CommandFailed, match="see whether it hangs"),
            installation.open_installation(directory, url) as opened,
            opened.store.read() as tx,
        ):
            tx.accounts.find()
            with server.suspended():
                tx.accounts.find()
