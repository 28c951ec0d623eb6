"""Another master key in the place of the one that seals the store's secrets, while control planes run.

Its file holds both for a while: see `key_steps`. After `use`, everything stored is sealed anew under the next
key.

A control plane looks at its file before it seals, within the transaction that stores what it sealed, and
whenever it cannot open something. So on one machine the three steps follow each other at once; control planes
that joined must have followed each before the next.
"""

import sys
from dataclasses import dataclass
from typing import Final

from hatchway.administration.key_steps import Rotation, Step, added, new_key, used
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.installation.installation import Installation
from hatchway.keys.access_keys import reseal
from hatchway.keys.key_files import MASTER_KEY, NEXT, Keys, read_master_keys
from hatchway.keys.machines import MASTER, ids_of
from hatchway.keys.vault import Vault
from hatchway.store import Transaction

_AT_ONCE: Final = 200
"""Secrets of one transaction: nobody waits long for the store's write lock."""


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
        CommandFailed: the file cannot be written, or the servers could not follow it.
    """
    rotation = Rotation(installation, MASTER_KEY, MASTER, "RotateMasterKey")
    rotation.require_file()
    _require_readers(rotation, many=len(steps) > 1)
    resealed = unopened = 0
    for step in steps:
        if step is Step.ADD:
            _add(rotation)
        elif step is Step.USE:
            resealed, unopened = _use(rotation)
        else:
            _drop(rotation)
    return Rotated(ids_of(read_master_keys(rotation.path, {})), resealed, unopened)


def _require_readers(rotation: Rotation, *, many: bool) -> None:
    """
    Raises:
        BadUsage: many steps, which some control plane could not follow at once.
        CommandFailed: the file cannot be looked at.
    """
    directory = rotation.directory
    try:
        owner, ours = directory.path.stat().st_uid, directory.master_key.stat().st_uid
    except OSError as problem:
        raise CommandFailed(f"cannot use {directory.master_key}: {reason(problem)}") from problem
    if many and ours != owner:
        raise BadUsage(
            f"{directory.master_key} does not belong to the owner of {directory.path}, so a control plane"
            " reads it only when it starts: run --step add, restart it, run --step use, restart it, and run"
            " --step drop"
        )
    with rotation.installation.store.read() as tx:
        if many and rotation.followers(tx):
            raise BadUsage("control planes joined: run --step add, use and drop, some minutes apart")


def _add(rotation: Rotation) -> None:
    key = new_key()
    rotation.change(Step.ADD, lambda keys, _tx: added(keys, key))


def _use(rotation: Rotation) -> tuple[int, int]:
    vault = Vault(*rotation.change(Step.USE, lambda keys, _tx: used(keys, "master key")).all)
    anew, unopened, after = 0, 0, ""
    while True:
        with rotation.installation.store.write() as tx:
            batch = reseal(tx, vault, after=after, most=_AT_ONCE)
        anew, unopened = anew + batch.anew, unopened + batch.unopened
        if batch.last is None:
            return anew, unopened
        after = batch.last


def _drop(rotation: Rotation) -> None:
    remain = True

    def drop(keys: Keys, tx: Transaction) -> Keys | None:
        nonlocal remain
        if keys.called == NEXT:
            raise BadUsage("the old master key is still in use: run --step use first")
        # What a control plane that had not looked yet sealed under the former. It is committed first: only
        # when nothing of it is left does the key go.
        remain = keys.other is not None and reseal(tx, Vault(*keys.all), after="", most=sys.maxsize).anew > 0
        return Keys(keys.seals) if keys.other is not None and not remain else None

    while remain:
        rotation.change(Step.DROP, drop)
