"""Another key in the place of one that there is, in steps that are on record before they change its file.

    add    former, next   who has the file learns to open what the next one seals
    use    next, former   the next one seals
    drop   next           the former is good for nothing any more

Machines that joined follow by asking the API once a minute. So a step is done only when all of them have the
one before: until then somebody would seal, or be given, what another cannot open.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from hatchway.audit.events import Outcome
from hatchway.audit.local_trail import record
from hatchway.domain.machine import KeyState, Machine
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.installation.installation import Installation
from hatchway.installation.secret_files import put_file
from hatchway.keys.key_files import FORMER, KEY_BYTES, NEXT, KeyKind, Keys, read_keys
from hatchway.keys.machines import ids_of
from hatchway.settings import DataDirectory
from hatchway.store import Transaction

Change = Callable[[Keys, Transaction], Keys | None]
"""The keys that a step makes of those that there are; None where it has been done."""


class Step(StrEnum):
    ADD = "add"
    USE = "use"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Rotation:
    """Of one key: `name` is what machines call its kind, `event` what the trail calls a step."""

    installation: Installation
    kind: KeyKind
    name: str
    event: str

    @property
    def directory(self) -> DataDirectory:
        return self.installation.directory

    @property
    def path(self) -> Path:
        return self.directory.path / f"{self.name}.key"

    def require_file(self) -> None:
        """
        Raises:
            BadUsage: the key is in the environment, or another machine's to rotate.
        """
        if self.kind.variable in os.environ:
            raise BadUsage(
                f"the {self.kind.name} is in {self.kind.variable}: put it into {self.path} (mode 0600) for"
                " the rotation, start the control plane without the variable, and undo this at the end"
            )
        if os.path.lexists(self.directory.machine):
            raise BadUsage("this machine joined, and follows the one that has the CA's key: run this there")

    def followers(self, tx: Transaction) -> list[Machine]:
        """The machines that have this key too, by what they said last."""
        return [each for each in tx.machines.find() if self._ids(each)]

    def change(self, step: Step, to: Change) -> Keys:
        """Puts other keys into the file, which is on record before. What is there then.

        The file is changed under the store's write lock: who seals anything after that looks at the file
        first. With the record, what a killed `use` sealed anew is on the disk: it may have been seen and not
        been there.

        Raises:
            CommandFailed: a machine has not the step before yet, or the file cannot be written.
        """
        done = None
        while done is None:
            done = self._attempt(step, to)
        return done

    def _attempt(self, step: Step, to: Change) -> Keys | None:
        """The keys in the file then; None where something has changed since they were recorded.

        Whatever ends it between, the trail has what was begun, and the same step again does the rest.
        """
        path = self.path
        with self.installation.store.write() as tx:
            before = read_keys(self.kind, path, {})
            after = to(before, tx)
            if after is None:
                self._say(tx, before)
                return before
            self._require_followed(tx, before)
            self._record(tx, step, after)
        with self.installation.store.write() as tx:
            if read_keys(self.kind, path, {}) != before or to(before, tx) != after:
                return None
            try:
                put_file(path, after.text, like=path)
            except OSError as problem:
                failure = Outcome(error_code="Failed", error_message=reason(problem))
                self._record(tx, step, read_keys(self.kind, path, {}), failure)
                failed = problem
            else:
                self._say(tx, after)
                return after
        raise CommandFailed(f"cannot write {path}: {reason(failed)}") from failed

    def _say(self, tx: Transaction, keys: Keys) -> None:
        """Which keys are the ones to have: a control plane that has others hands out none."""
        state = KeyState(kind=self.name, key_ids=ids_of(keys), other=keys.called)
        if tx.key_states.get(self.name) != state:
            tx.key_states.put(state)

    def _require_followed(self, tx: Transaction, keys: Keys) -> None:
        """
        Raises:
            CommandFailed: a machine has not what is in the file.
        """
        wanted = ids_of(keys)
        behind = [each for each in self.followers(tx) if self._ids(each) != wanted]
        if behind:
            names = ", ".join(f"{each.name} ({each.id})" for each in behind[:3])
            more = f" and {len(behind) - 3} more" if len(behind) > 3 else ""
            raise CommandFailed(
                f"{names}{more} cannot do this step yet: a machine asks once a minute for what has changed,"
                " while its server runs. Wait, or remove one that is permanently gone: hatchway machine"
                " remove"
            )

    def _ids(self, machine: Machine) -> tuple[str, ...]:
        own = f"{self.name}:"
        return tuple(each.removeprefix(own) for each in machine.key_ids if each.startswith(own))

    def _record(self, tx: Transaction, step: Step, keys: Keys, failure: Outcome | None = None) -> None:
        seals, *other = ids_of(keys)
        key = f"{self.name}KeyId"
        record(
            tx,
            self.installation.account,
            datetime.now(UTC),
            self.event,
            parameters={"step": step.value},
            answer={key: seals, **{f"{keys.called}{key[0].upper()}{key[1:]}": each for each in other}},
            failure=failure,
        )


def added(keys: Keys, key: bytes) -> Keys | None:
    """With the next key beside them; None where there is another already."""
    return Keys(keys.seals, key, NEXT) if keys.other is None else None


def used(keys: Keys, what: str) -> Keys | None:
    """With the next key as the one that seals; None where it is.

    Raises:
        BadUsage: there is none.
    """
    if keys.other is None:
        raise BadUsage(f"there is no next {what} to use: run --step add first")
    return Keys(keys.other, keys.seals, FORMER) if keys.called == NEXT else None


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)
