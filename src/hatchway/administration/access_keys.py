"""Access keys, on the server itself: recorded in the audit trail as IAM's operations are."""

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from hatchway.administration.api_urls import here
from hatchway.administration.bundling import IntoBundle, ready_bundle, removed_on_failure
from hatchway.audit.key_uses import last_uses
from hatchway.audit.local_trail import record_access_key, record_new_access_key
from hatchway.client.setup.aws_profile import (
    AwsProfile,
    FoundProfile,
    SharedFiles,
    find_profile,
    kept_on_failure,
    write_profile,
)
from hatchway.domain.identity import AccessKey, AccessKeyUse, KeyStatus
from hatchway.errors import CommandFailed
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation
from hatchway.keys.access_keys import MOST_KEYS, create_access_key, delete_access_key, set_status
from hatchway.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class IntoProfile:
    """The AWS profile that a new key is to go into.

    Attributes:
        endpoint_url: the API's; None for where it listens.
        overwrite: whether a profile of that name may be there already.
    """

    name: str
    files: SharedFiles
    endpoint_url: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key just made: the only moment at which its secret can be told.

    Attributes:
        replaced: what the profile held before.
        notes: for whoever runs the command, about where it went.
        former: the user's other keys, as they are now.
        deleted: one that had to go to make room.
    """

    key: AccessKey
    secret: str = field(repr=False)
    replaced: FoundProfile | None = None
    notes: tuple[str, ...] = ()
    former: tuple[AccessKey, ...] = ()
    deleted: AccessKey | None = None


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key, and when it was last used, if ever."""

    key: AccessKey
    use: AccessKeyUse | None


Into = IntoProfile | IntoBundle


class Keys(Protocol):
    """Where access keys are made, looked after and ended; of a user, or (None) the root user.

    Each raises CommandFailed or BadUsage for what cannot be done, and says what to do instead.
    """

    def list(self, user: str | None, *, everybody: bool) -> Sequence[ListedKey]:
        """The keys of a user, or of everybody; root's first, then by user and age."""

    def create(self, user: str | None, into: Into | None) -> MadeKey:
        """Makes a key and writes the profile or the bundle: both, or neither."""

    def rotate(self, user: str | None, into: Into | None, *, at_once: bool) -> MadeKey:
        """Makes a new key beside the one that there is, which is good until it is ended.

        An inactive key goes, when it is one of two: it was ended in the rotation before. `at_once`
        deactivates what was active. A profile that holds one of the user's keys gets the new one.
        """

    def set_status(self, key_id: str, status: KeyStatus) -> tuple[AccessKey, bool]:
        """Activates or deactivates a key; the key as it was, and whether anything changed."""

    def delete(self, key_id: str) -> AccessKey:
        """Takes a key away; what it was."""


@dataclass(frozen=True, slots=True)
class KeysOnServer:
    """The keys in the store of an installation."""

    installation: Installation

    def list(self, user: str | None, *, everybody: bool) -> Sequence[ListedKey]:
        with self.installation.store.read() as tx:
            if everybody:
                keys = tx.access_keys.find()
            else:
                _require(tx, user)
                keys = tx.access_keys.find(user_name=user)
            uses = last_uses(tx, datetime.now(UTC))
        return in_order(ListedKey(key, uses.get(key.id)) for key in keys)

    def create(self, user: str | None, into: Into | None) -> MadeKey:
        with _nothing_left(into), self.installation.store.write() as tx:
            _require(tx, user)
            if tx.access_keys.count(user_name=user) >= MOST_KEYS:
                raise CommandFailed(
                    f"{_name(user)} has {MOST_KEYS} access keys already: see 'hatchway access-key list"
                    f" {_argument(user)}', and delete one with 'hatchway access-key delete ID'"
                )
            return _make(tx, self.installation, user, into, former=())

    def rotate(self, user: str | None, into: Into | None, *, at_once: bool) -> MadeKey:
        now = datetime.now(UTC)
        with _nothing_left(into), self.installation.store.write() as tx:
            _require(tx, user)
            former, deleted = to_rotate(user, tx.access_keys.find(user_name=user))
            if deleted is not None:
                _delete(tx, self.installation, deleted, now)
            made = _make(tx, self.installation, user, into, former)
            if at_once:
                for key in former:
                    _set_status(tx, self.installation, key, KeyStatus.INACTIVE, now)
            former = tuple(key for key in tx.access_keys.find(user_name=user) if key.id != made.key.id)
        return replace(made, former=former, deleted=deleted)

    def set_status(self, key_id: str, status: KeyStatus) -> tuple[AccessKey, bool]:
        with self.installation.store.write() as tx:
            key = _find(tx, key_id)
            changed = key.status is not status
            if changed:
                _set_status(tx, self.installation, key, status, datetime.now(UTC))
        return key, changed

    def delete(self, key_id: str) -> AccessKey:
        with self.installation.store.write() as tx:
            key = _find(tx, key_id)
            _delete(tx, self.installation, key, datetime.now(UTC))
        return key


def in_order(listed: Iterable[ListedKey]) -> Sequence[ListedKey]:
    """Root's keys first, then by user and age."""
    return sorted(
        listed,
        key=lambda each: (each.key.user_name is not None, each.key.user_name or "", each.key.created_at),
    )


def to_rotate(user: str | None, keys: Iterable[AccessKey]) -> tuple[tuple[AccessKey, ...], AccessKey | None]:
    """The keys that stay beside a new one, and the one that has to go to make room for it.

    Raises:
        CommandFailed: there is no key, or two that are active.
    """
    stay = sorted(keys, key=lambda key: key.created_at)
    if not stay:
        raise CommandFailed(
            f"{_name(user)} has no access key: make one with 'hatchway access-key create {_argument(user)}'"
        )
    if len(stay) < MOST_KEYS:
        return tuple(stay), None
    goes = next((key for key in stay if key.status is KeyStatus.INACTIVE), None)
    if goes is None:
        raise CommandFailed(
            f"{_name(user)} has {MOST_KEYS} active access keys: see with 'hatchway access-key list"
            f" {_argument(user)}' which is no longer used, and deactivate that one"
        )
    return tuple(key for key in stay if key is not goes), goes


def _nothing_left(into: Into | None) -> AbstractContextManager[None]:
    """Has the files be as before when there comes to be no key."""
    if isinstance(into, IntoBundle):
        return removed_on_failure(into.target)
    return nullcontext() if into is None else kept_on_failure(into.files)


def _make(
    tx: Transaction,
    installation: Installation,
    user: str | None,
    into: Into | None,
    former: Sequence[AccessKey],
) -> MadeKey:
    now = datetime.now(UTC)
    made = create_access_key(tx, installation.vault, user_name=user, now=now, random_bytes=os.urandom)
    record_new_access_key(tx, installation.account, made.key, now)
    installation.derive_granted(tx, now)
    if into is None:
        return MadeKey(made.key, made.secret)
    if isinstance(into, IntoBundle):
        bundle = ready_bundle(installation, user or "root", into)
        bundle.write(made.key.id, made.secret)
        return MadeKey(made.key, made.secret, notes=bundle.notes)
    location = ApiLocation.read(installation.directory)
    url = here(installation, into.endpoint_url, private_ca=location.private_ca)
    there = ready_profile(into, former)
    profile = AwsProfile(
        name=into.name,
        endpoint_url=url.url,
        region=installation.account.region,
        ca_bundle=installation.directory.ca_certificate if location.private_ca else None,
        access_key_id=made.key.id,
        secret_access_key=made.secret,
    )
    write_profile(into.files, profile)
    return MadeKey(made.key, made.secret, replaced=there, notes=url.notes)


def ready_profile(into: IntoProfile, former: Sequence[AccessKey] = ()) -> FoundProfile | None:
    """What the profile holds, which may be one of the user's former keys.

    Raises:
        CommandFailed: it is there already, with something else.
    """
    there = find_profile(into.files, into.name)
    if there is not None and not into.overwrite and there.access_key_id not in {key.id for key in former}:
        raise CommandFailed(
            f"there is a profile {into.name} already, with {there}: give another name, or --overwrite"
        )
    return there


def _set_status(
    tx: Transaction, installation: Installation, key: AccessKey, status: KeyStatus, now: datetime
) -> None:
    set_status(tx, key, status)
    installation.derive_granted(tx, now)
    record_access_key(tx, installation.account, key, now, name="UpdateAccessKey", status=status.value)


def _delete(tx: Transaction, installation: Installation, key: AccessKey, now: datetime) -> None:
    delete_access_key(tx, key.id)
    record_access_key(tx, installation.account, key, now, name="DeleteAccessKey")


def _require(tx: Transaction, user: str | None) -> None:
    if user is not None and tx.users.get(user) is None:
        raise CommandFailed(f"there is no user {user!r}: name it in the fleet file and apply that")


def _find(tx: Transaction, key_id: str) -> AccessKey:
    key = tx.access_keys.get(key_id)
    if key is None:
        raise CommandFailed(f"there is no access key {key_id!r}: see 'hatchway access-key list'")
    return key


def _name(user: str | None) -> str:
    return "root" if user is None else user


def _argument(user: str | None) -> str:
    return "--root" if user is None else user
