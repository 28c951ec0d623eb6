"""Another gateway key in the place of the one that seals gateways' signing keys, while servers run.

See `key_steps`. The control plane seals all signing keys anew once the next key seals; the former one goes
when none is left that it sealed.
"""

import time
from typing import Final

from hatchway.administration.key_steps import Rotation, Step, added, new_key, used
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation.installation import Installation, record_gateway_key
from hatchway.installation.secret_files import ensure_gateway_key
from hatchway.keys.key_files import GATEWAY_KEY, NEXT, Keys, read_gateway_keys
from hatchway.keys.machines import GATEWAY, ids_of
from hatchway.store import Transaction
from hatchway.store.tables import sealed_signing_keys

PATIENCE: Final = 30.0
"""Seconds that a control plane has to seal all signing keys anew."""
_LOOK_SECONDS: Final = 0.25


def create(installation: Installation) -> str:
    """Makes another where the one that there was is lost. Its id.

    Killed between, it has made one of which the store does not know: servers refuse that, and say what to do.

    Raises:
        BadUsage: there is one, or it is another's to make.
        CommandFailed: it cannot be written.
    """
    Rotation(installation, GATEWAY_KEY, GATEWAY, "CreateGatewayKey").require_file()
    directory = installation.directory
    if not ensure_gateway_key(directory):
        raise BadUsage(f"{directory.gateway_key} exists: to replace it, run hatchway gateway-key rotate")
    made = read_gateway_keys(directory.gateway_key, {})
    record_gateway_key(installation.store, installation.account, made)
    return ids_of(made)[0]


def rotate(installation: Installation, *steps: Step) -> tuple[str, ...]:
    """Does these steps in their order; those that have been done already change nothing. The ids of the keys
    in the file then, the one that seals first.

    Raises:
        BadUsage: the key is in the environment; a step before has not been done.
        CommandFailed: a machine has not the step before yet, or no control plane runs that would seal anew.
    """
    rotation = Rotation(installation, GATEWAY_KEY, GATEWAY, "RotateGatewayKey")
    rotation.require_file()
    with installation.store.read() as tx:
        if len(steps) > 1 and rotation.followers(tx):
            raise BadUsage("machines joined: run --step add, use and drop, a minute or more apart")
    keys: Keys | None = None
    for step in steps:
        if step is Step.ADD:
            keys = _add(rotation)
        elif step is Step.USE:
            keys = rotation.change(step, lambda keys, _tx: used(keys, "gateway key"))
        else:
            keys = _drop(rotation)
    assert keys is not None
    return ids_of(keys)


def _add(rotation: Rotation) -> Keys:
    key = new_key()
    return rotation.change(Step.ADD, lambda keys, _tx: added(keys, key))


def _drop(rotation: Rotation) -> Keys:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return rotation.change(Step.DROP, _dropped)
        except _Remaining as remaining:
            if time.monotonic() >= until:
                raise CommandFailed(
                    f"{remaining.number} signing keys are still encrypted with the old gateway key: check"
                    " that a control plane runs, and run --step drop again"
                ) from None
        time.sleep(_LOOK_SECONDS)


class _Remaining(Exception):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _dropped(keys: Keys, tx: Transaction) -> Keys | None:
    if keys.other is None:
        return None
    if keys.called == NEXT:
        raise BadUsage("the old gateway key is still in use: run --step use first")
    remain = tx.sealed_signing_keys.count(sealed_signing_keys.c.sealed_under != ids_of(keys)[0])
    if remain:
        raise _Remaining(remain)
    return Keys(keys.seals)
