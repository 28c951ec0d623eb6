"""Another master key in the place of the one that seals the store's secrets, while control planes run.

Its file holds both for a while, the one that seals first:

    add    former, next   every control plane learns to open what the next one seals
    use    next, former   the next one seals, and everything stored is sealed anew under it
    drop   next           the former is good for nothing any more

A step is on record before it changes the file.

A control plane looks at its file before it seals, within the transaction that stores what it sealed, and
whenever it cannot open something. So on one machine the three follow each other at once; where there are more
control planes, each step is done on all of them before the next.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from hatchway.access.access_keys import reseal
from hatchway.access.key_files import (
    FORMER,
    KEY_BYTES,
    MASTER_KEY,
    NEXT,
    Keys,
    read_master_keys,
)
from hatchway.access.vault import Vault
from hatchway.audit.events import Outcome
from hatchway.audit.local_trail import record
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.installation.installation import Installation
from hatchway.installation.secret_files import put_file
from hatchway.settings import DataDirectory
from hatchway.store import Transaction

_AT_ONCE: Final = 200
"""Secrets of one transaction: nobody waits long for the store's write lock."""


class Step(StrEnum):
    ADD = "add"
    USE = "use"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Rotated:
    """
    Attributes:
        key_ids: of the keys in the file now, the one that seals first (`Vault.key_id`).
        resealed: how many secrets were sealed anew.
        unopened: how many neither key opens: they had been altered, and were left as they are.
    """

    key_ids: tuple[str, ...]
    resealed: int = 0
    unopened: int = 0


def rotate(installation: Installation, *steps: Step) -> Rotated:
    """Does these steps in their order; those that have been done already change nothing.

    Raises:
        BadUsage: the key is in the environment; a step before has not been done.
        CommandFailed: the file cannot be written, or the servers here could not follow it.
    """
    directory = installation.directory
    _require_file(directory, many=len(steps) > 1)
    resealed = unopened = 0
    for step in steps:
        if step is Step.ADD:
            _add(installation)
        elif step is Step.USE:
            resealed, unopened = _use(installation)
        else:
            _drop(installation)
    ids = tuple(Vault(key).key_id for key in read_master_keys(directory.master_key, {}).all)
    return Rotated(ids, resealed, unopened)


def _require_file(directory: DataDirectory, *, many: bool) -> None:
    if MASTER_KEY.variable in os.environ:
        raise BadUsage(
            f"the master key is in {MASTER_KEY.variable}: put it into {directory.master_key} (mode 0600) for"
            " the rotation, start the control plane without the variable, and do the reverse at the end"
        )
    try:
        owner, ours = directory.path.stat().st_uid, directory.master_key.stat().st_uid
    except OSError as problem:
        raise CommandFailed(f"cannot use {directory.master_key}: {reason(problem)}") from problem
    if many and ours != owner:
        raise BadUsage(
            f"{directory.master_key} is not the user's to whom {directory.path} belongs, so that a control"
            " plane reads it only when it starts: do --step add, restart it, --step use, restart it, and"
            " --step drop"
        )


def _add(installation: Installation) -> None:
    key = os.urandom(KEY_BYTES)

    def add(keys: Keys, _tx: Transaction) -> Keys | None:
        return Keys(keys.seals, key, NEXT) if keys.other is None else None

    _change(installation, Step.ADD, add)


def _use(installation: Installation) -> tuple[int, int]:
    def use(keys: Keys, _tx: Transaction) -> Keys | None:
        if keys.other is None:
            raise BadUsage("there is no other master key to use: do --step add first")
        return Keys(keys.other, keys.seals, FORMER) if keys.called == NEXT else None

    vault = Vault(*_change(installation, Step.USE, use).all)
    anew, unopened, after = 0, 0, ""
    while True:
        with installation.store.write() as tx:
            batch = reseal(tx, vault, after=after, most=_AT_ONCE)
        anew, unopened = anew + batch.anew, unopened + batch.unopened
        if batch.last is None:
            return anew, unopened
        after = batch.last


def _drop(installation: Installation) -> None:
    remain = True

    def drop(keys: Keys, tx: Transaction) -> Keys | None:
        nonlocal remain
        if keys.called == NEXT:
            raise BadUsage("the former master key still seals: do --step use first")
        # What a control plane that had not looked yet sealed under the former. It is committed first: only
        # when nothing of it is left does the key go.
        remain = keys.other is not None and reseal(tx, Vault(*keys.all), after="", most=sys.maxsize).anew > 0
        return Keys(keys.seals) if keys.other is not None and not remain else None

    while remain:
        _change(installation, Step.DROP, drop)


def _change(installation: Installation, step: Step, to: Callable[[Keys, Transaction], Keys | None]) -> Keys:
    """Puts other keys into the file, which is on record before; None are no others. What is there then.

    The file is changed under the store's write lock: who seals anything after that looks at the file first.
    With the record, what a killed `use` sealed anew is on the disk: it may have been seen and not been there.
    """
    done = None
    while done is None:
        done = _attempt(installation, step, to)
    return done


def _attempt(
    installation: Installation, step: Step, to: Callable[[Keys, Transaction], Keys | None]
) -> Keys | None:
    """The keys in the file then; None where something has changed since they were recorded.

    Whatever ends it between, the trail has what was begun, and the same step again does the rest.
    """
    path = installation.directory.master_key
    with installation.store.write() as tx:
        before = read_master_keys(path, {})
        after = to(before, tx)
        if after is None:
            return before
        _record(tx, installation, step, after)
    with installation.store.write() as tx:
        if read_master_keys(path, {}) != before or to(before, tx) != after:
            return None
        try:
            put_file(path, after.text, like=path)
        except OSError as problem:
            failure = Outcome(error_code="Failed", error_message=reason(problem))
            _record(tx, installation, step, read_master_keys(path, {}), failure)
            failed = problem
        else:
            return after
    raise CommandFailed(f"cannot write {path}: {reason(failed)}") from failed


def _record(
    tx: Transaction,
    installation: Installation,
    step: Step,
    keys: Keys,
    failure: Outcome | None = None,
) -> None:
    ids = [Vault(key).key_id for key in keys.all]
    other = {f"{keys.called}MasterKeyId": ids[1]} if len(ids) > 1 else {}
    record(
        tx,
        installation.account,
        datetime.now(UTC),
        "RotateMasterKey",
        parameters={"step": step.value},
        answer={"masterKeyId": ids[0], **other},
        failure=failure,
    )
