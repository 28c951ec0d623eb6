"""An installation: the data directory and the store, opened; its server's names and certificate."""

import ipaddress
import os
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hatchway.access.granted_keys import derive_granted
from hatchway.audit.local_trail import record
from hatchway.domain.account import Account, certificate_name
from hatchway.domain.gateway_names import gateway_names
from hatchway.domain.machine import KeyState, Role
from hatchway.errors import CommandFailed
from hatchway.failures import failures
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import ensure_gateway_key, replace_private
from hatchway.keys.access_keys import count_opened, opens_secrets, put_check
from hatchway.keys.key_files import (
    CA_KEY,
    GATEWAY_KEY,
    MASTER_KEY,
    STORE_LOCATION,
    FollowedKeyFile,
    KeyProblem,
    Keys,
    altered_check,
    former_authority,
    former_gateway_key,
    former_master_key,
    lost_gateway_key,
    read_gateway_keys,
    read_private_file,
    wrong_master_key,
)
from hatchway.keys.machines import AUTHORITY, GATEWAY, MASTER, ids_of
from hatchway.keys.vault import Vault
from hatchway.pki.certificate_authority import LOCAL_NAMES, issue_server_certificate
from hatchway.pki.certificates import KeyPair, PkiProblem, certificates_in, fingerprint
from hatchway.pki.name_constraints import PRIVATE_RANGES, is_dns_name, permitted_dns_names
from hatchway.pki.renewal import needs_renewal
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory, is_everywhere
from hatchway.store import Store, Transaction, require_machine
from hatchway.store.tables import accounts, endpoints, subnets
from hatchway.transport.own_addresses import interface_addresses

_LONGEST_PEM: Final = 65_536
_LONGEST_URL: Final = 4096
_MOST_ADDRESSES: Final = 32
"""In the server's certificate: a machine may have thousands, and each handshake carries them all."""


@dataclass(frozen=True, slots=True)
class Installation:
    """An open one."""

    directory: DataDirectory
    store: Store
    vault: Vault
    account: Account

    def derive_granted(self, tx: Transaction, now: datetime) -> None:
        """Derives what gateways verify those with whom a transaction newly allows tunnels.

        Where the gateway key is not at hand, that is left to the control plane.
        """
        with suppress(KeyProblem):
            gateway = Vault(*read_gateway_keys(self.directory.gateway_key, os.environ).all)
            derive_granted(tx, self.vault, gateway, now=now, region=self.account.region)


COMMANDS_READ_TIMEOUT: Final = 120.0
"""Seconds for which a command that somebody waits for lets a database server say nothing at all: longer than
any of their statements takes, as over a large trail."""


@contextmanager
def open_installation(
    directory: DataDirectory,
    store_url: str | None,
    *,
    migrate: bool = False,
    older: bool = False,
    checked: bool = True,
    read_timeout: float | None = None,
    keys_read: Callable[[], None] = lambda: None,
) -> Iterator[Installation]:
    """The installation, its store of this program's schema: brought to it, or else checked to be.

    `older` is whether one will do that could be brought to it, for who reads no more than is common to all;
    `checked` whether the master key has to be the store's by the check there, `read_timeout` for how many
    seconds the database's server may say nothing at all, unless `COMMANDS_READ_TIMEOUT`. `keys_read` is
    called when the keys have been read, and before the store is touched.

    Raises:
        CommandFailed: there is none, or it cannot be opened.
    """
    with failures(store_url or directory.store_url):
        joined = Joined.read(directory)
        if joined is not None and joined.role is Role.GATEWAY:
            raise CommandFailed(
                f"{directory.path} belongs to a gateway, which has no master key: run this command on a"
                " control plane (only 'hatchway gateway' runs here)"
            )
        noted = None if store_url else noted_store_url(directory)
        store_url = store_url or noted
        if store_url is None and not is_there(directory.store):
            raise no_store(directory)
        # It may be rotated while this is under way: what is sealed under the former then nobody opens again.
        master_key = FollowedKeyFile(MASTER_KEY, directory.master_key, os.environ)
        vault = Vault(*master_key.held.all, changed=master_key.changed)
        gateway_keys = _gateway_keys(directory) if migrate else None
        keys_read()
        # A migration may take any time over a statement.
        waits = None if migrate else read_timeout or COMMANDS_READ_TIMEOUT
        store = Store.open(
            store_url or directory.store_url,
            read_timeout=waits,
            named_in=None if noted is None else directory.path,
        )
        try:
            if migrate:
                store.migrate()
            else:
                store.check_schema(older=older)
            with store.read() as tx:
                if joined is not None and not older:
                    require_machine(tx, joined.machine_id)
                account = next(iter(as_ever(tx) if older else tx.accounts.find()), None)
                fits = not checked or opens_secrets(tx, vault)
                opened, number = (0, 0) if fits else count_opened(tx, vault)
                state = tx.key_states.get(MASTER) if checked and not older else None
            if account is None:
                raise CommandFailed(
                    "the store contains no account: restore it from a backup, or create another installation"
                    " with 'hatchway init' and an empty --data-dir"
                )
            if opened:
                raise altered_check(directory.master_key, os.environ, opened, number)
            if not fits:
                raise wrong_master_key(directory.master_key, os.environ)
            if state is not None and not state.suits(vault.key_ids):
                raise former_master_key(directory.master_key, os.environ)
            if migrate:
                with store.write() as tx:
                    put_check(tx, vault, os.urandom)
                    # Another control plane, with another key, may have put it there meanwhile.
                    fits = opens_secrets(tx, vault)
                if not fits:
                    raise wrong_master_key(directory.master_key, os.environ)
                _ready_gateway_key(directory, store, account, gateway_keys)
                _require_authority(directory, store)
            yield Installation(directory, store, vault, account)
        finally:
            store.close()


def no_store(directory: DataDirectory) -> CommandFailed:
    """That there is no store in a data directory, and what to do: 'hatchway init' refuses one with keys."""
    if is_there(directory.master_key):
        return CommandFailed(
            f"{directory.path} has keys but no store: give --store-url (HATCHWAY_STORE_URL) if the store"
            " is in PostgreSQL, otherwise restore a backup. If init was interrupted, run it again"
        )
    quoted = shlex.quote(str(directory.path))
    return CommandFailed(
        f"{directory.path} contains no store: create one with hatchway init --data-dir {quoted}"
    )


def noted_store_url(directory: DataDirectory) -> str | None:
    """The store's URL as a machine that joined has it; None elsewhere.

    Raises:
        KeyProblem: others may read it.
    """
    if not os.path.lexists(directory.store_location):
        return None
    return read_private_file(STORE_LOCATION, directory.store_location, _LONGEST_URL).decode().strip() or None


def as_ever(tx: Transaction) -> list[Account]:
    """The account, of which no more is read than every schema has."""
    columns = accounts.c
    kept = (columns.id, columns.region, columns.gateway_dns_name, columns.created_at)
    return [
        Account(**{column.name: value for column, value in zip(kept, row, strict=True)})
        for row in tx.accounts.values(*kept)
    ]


def _gateway_keys(directory: DataDirectory) -> Keys | None:
    """None where there are none yet.

    Raises:
        KeyProblem: they are not fit.
    """
    if GATEWAY_KEY.variable not in os.environ and not os.path.lexists(directory.gateway_key):
        return None
    return read_gateway_keys(directory.gateway_key, os.environ)


def _ready_gateway_key(directory: DataDirectory, store: Store, account: Account, held: Keys | None) -> None:
    """Sees that there is a gateway key, as in an installation from before there was one, and that it is the
    store's, where that says which is. `held` are the keys that there were.

    Raises:
        KeyProblem: it is not fit, or gone.
    """
    require_gateway_key(directory, store)
    # Of another machine's installation it is that one's to make, and to say which it is.
    first = not os.path.lexists(directory.machine)
    made = first and ensure_gateway_key(directory)
    keys = held or read_gateway_keys(directory.gateway_key, os.environ)
    if made:
        record_gateway_key(store, account, keys)
    with store.read() as tx:
        state = tx.key_states.get(GATEWAY)
    if state is None and first:
        with store.write() as tx:
            # Another control plane, with another key, may have said so meanwhile.
            state = tx.key_states.get(GATEWAY) or _state_of(keys)
            tx.key_states.put(state)
    if state is not None and not state.suits(ids_of(keys)):
        raise former_gateway_key(directory.gateway_key, os.environ)


def require_gateway_key(directory: DataDirectory, store: Store) -> None:
    """Sees that the gateway key is where the first machine has it, if there has ever been one.

    Raises:
        KeyProblem: it is gone.
    """
    if GATEWAY_KEY.variable in os.environ or any(
        map(os.path.lexists, (directory.gateway_key, directory.machine))
    ):
        return
    with store.read() as tx:
        if tx.key_states.get(GATEWAY) is not None:
            raise lost_gateway_key(directory.gateway_key)


def _state_of(keys: Keys) -> KeyState:
    return KeyState(kind=GATEWAY, key_ids=ids_of(keys), other=keys.called)


def record_gateway_key(store: Store, account: Account, keys: Keys) -> None:
    """Has the store say that this gateway key, which was just made, is the one."""
    with store.write() as tx:
        tx.key_states.put(_state_of(keys))
        answer = {"gatewayKeyId": ids_of(keys)[0]}
        record(tx, account, datetime.now(UTC), "CreateGatewayKey", parameters={}, answer=answer)


def _require_authority(directory: DataDirectory, store: Store) -> None:
    """Sees that the private CA, if there is one here, is the store's, where that says which is.

    Raises:
        KeyProblem: it is another.
    """
    try:
        held = tuple(map(fingerprint, certificates_in(read_as_owner(directory.ca_certificate))))
    except (OSError, PkiProblem):
        # Of a damaged one, who issues tells.
        return
    with store.read() as tx:
        state = tx.key_states.get(AUTHORITY)
    if state is None or not held or state.suits(held):
        return
    # One that joined issues nothing, and is trusted until the former CA is dropped.
    if not os.path.lexists(directory.machine) or held[0] not in state.key_ids:
        raise former_authority(directory.ca_certificate)


def server_names(
    directory: DataDirectory,
    dns_names: Sequence[str],
    *,
    api: str,
    gateway: str = "",
    further: Sequence[str] = (),
) -> list[str]:
    """What clients may call this server: DNS names and addresses for its certificate.

    An API that listens everywhere is known by this machine's private addresses too.

    Args:
        dns_names: the names of gateways.
        api, gateway: where the two listen; a gateway that listens everywhere is known by its names alone.
        further: what the operator knows of besides.
    """
    try:
        permitted = permitted_dns_names(read_as_owner(directory.ca_certificate))
    except (OSError, PkiProblem):
        # There need be none where others' certificates are used; of a damaged one, who issues tells.
        permitted = ()
    # The host's own too: where the CA may not issue for it, the server says so.
    own = [name for name in [socket.gethostname().lower()] if is_dns_name(name)]
    names = [*dns_names[:1], *further, *LOCAL_NAMES, *permitted, *own]
    names += [host for host in (api, gateway) if not is_everywhere(host)]
    if is_everywhere(api):
        names += private_addresses()
    # Of too many, the last are left out of the certificate.
    return list(dict.fromkeys([*names, *dns_names]))


def machine_names() -> list[str]:
    """This machine's host name, alone and in full when the resolver knows that."""
    short = socket.gethostname().lower()
    try:
        answers = socket.getaddrinfo(short, None, flags=socket.AI_CANONNAME)
    except OSError:
        return [short]
    full = answers[0][3].lower().rstrip(".")
    return [short, full] if is_dns_name(full) and not full.startswith("localhost") else [short]


def private_addresses() -> list[str]:
    """Those of this machine for which the private CA may issue, as many as one certificate is to hold."""
    ranges = [ipaddress.ip_network(cidr) for cidr in PRIVATE_RANGES]
    try:
        found = sorted(map(ipaddress.ip_address, interface_addresses()), key=lambda one: (one.version, one))
    except OSError:
        return []
    return [str(address) for address in found if any(address in network for network in ranges)][
        :_MOST_ADDRESSES
    ]


def gateway_dns_names(installation: Installation) -> list[str]:
    """What clients call gateways, as certificates have it: the account's name for them, then those that
    there are besides; of a pattern its wildcard."""
    with installation.store.read() as tx:
        account = tx.account()
        names = gateway_names(
            account,
            tx.vpcs.find(),
            tx.subnets.find(subnets.c.gateway_dns_name.is_not(None)),
            tx.endpoints.find(endpoints.c.gateway_dns_name.is_not(None)),
        )
    return list(dict.fromkeys(map(certificate_name, names)))


def renew_server_certificate(directory: DataDirectory, names: Sequence[str], now: datetime) -> bool:
    """Puts a new server certificate in place when one is due; whether it did.

    Raises:
        CommandFailed: the CA cannot be used or the file cannot be written.
    """
    try:
        ca_key = read_private_file(CA_KEY, directory.ca_key, _LONGEST_PEM)
        target = directory.server_certificate
        ca = KeyPair(read_as_owner(directory.ca_certificate), ca_key)
        if target.exists() and not needs_renewal(read_as_owner(target), ca, names, now):
            return False
        pair = issue_server_certificate(ca, names, now)
        replace_private(target, pair.certificate + pair.key)
    except (KeyProblem, PkiProblem) as problem:
        raise CommandFailed(str(problem)) from problem
    except OSError as problem:
        raise CommandFailed(
            f"cannot renew the server's certificate: {problem.filename}: {problem.strerror}"
        ) from problem
    return True


def is_there(path: Path) -> bool:
    """As `Path.exists` says it, which from Python 3.14 on also says no of what one may not look at.

    Raises:
        OSError: such as PermissionError.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
