"""Another private CA in the place of the one that clients trust, while servers run.

Who trusts the former CA alone would refuse a certificate of the next one. So clients are told of the next one
before it issues anything, and `ca.pem`, which is what they are given, holds both for a while, the one that
issues first:

    add    former, next   whoever gets ca.pem from now on trusts both; ca.next.key is the next one's key
    use    next, former   the next one issues: its key is ca.key, and the former one's is gone
    drop   next           nobody is told to trust the former one any more

Machines that joined follow by asking the API once a minute, and say which CAs they trust. `use` is done when
all of them trust the next one, and `drop` when all have a certificate of it: else the API would be one that
they do not trust, and they would have to join anew.

A step is on record before it changes a file, and done again it goes on where it was ended.

Nothing here touches a client or a server that runs. The server issues itself a certificate of the CA that
issues when it starts, once a day, and when it gets a SIGHUP.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from hatchway.audit.events import Outcome
from hatchway.audit.local_trail import record
from hatchway.domain.account import certificate_name
from hatchway.domain.machine import KeyState, Machine
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.installation.installation import Installation, gateway_dns_names
from hatchway.installation.secret_files import put_file
from hatchway.keys.key_files import CA_KEY, read_private_file
from hatchway.keys.machines import AUTHORITY, told_authorities
from hatchway.pki.alternative_names import without_wildcard
from hatchway.pki.certificate_authority import OWN_NAME, belongs_to, create_ca
from hatchway.pki.certificates import KeyPair, PkiProblem, certificates_in, fingerprint, is_issued_by
from hatchway.pki.name_constraints import is_dns_name, permitted_dns_names
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory
from hatchway.store import Transaction

_LONGEST_PEM: Final = 65_536


class Step(StrEnum):
    ADD = "add"
    USE = "use"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Authorities:
    """The SHA-256 fingerprints of the CAs that clients are told to trust now, the one that issues first; and
    the DNS names for which that one may issue."""

    fingerprints: tuple[str, ...]
    names: tuple[str, ...]


def rotate(
    installation: Installation, step: Step, names: Sequence[str] = (), *, force: bool = False
) -> Authorities:
    """Does one step; one that has been done already changes nothing.

    Args:
        force: whether no machine that joined is waited for.
        names: DNS names for which the next CA is to be able to issue, besides those of the one there is and
            those of gateways. For `add` alone.

    Raises:
        BadUsage: a step before has not been done, or one of the names is none.
        CommandFailed: the files cannot be read or written, the server's certificate is the former CA's, or a
            machine has not followed the step before yet.
    """
    if names and step is not Step.ADD:
        raise BadUsage("--name is for the next CA: give it with --step add")
    for name in names:
        if not is_dns_name(name):
            raise BadUsage(f"--name {name!r} is not a host name")
    if os.path.lexists(installation.directory.machine):
        raise BadUsage("this machine joined, and follows the one that has the CA's key: run this there")
    return _rotate(installation, step, names, force=force)


def add_without_key(installation: Installation) -> Authorities:
    """The step `add` where the CA's key is lost.

    Raises:
        CommandFailed: as `rotate`.
    """
    return _rotate(installation, Step.ADD, ())


def _rotate(
    installation: Installation, step: Step, names: Sequence[str], *, force: bool = False
) -> Authorities:
    directory = installation.directory
    try:
        now = None
        while now is None:
            now = _step(installation, step, names, force=force)
    except PkiProblem as problem:
        raise CommandFailed(str(problem)) from problem
    except OSError as problem:
        raise CommandFailed(
            f"cannot use {problem.filename or directory.path}: {reason(problem)}"
        ) from problem
    return Authorities(tuple(map(fingerprint, now)), permitted_dns_names(now[0]))


@dataclass(frozen=True, slots=True)
class _Change:
    """What a step makes of the files. The key of the next CA is put there before the certificates, or takes
    the place of the CA's after them: at no moment are clients told of a CA whose key is nowhere."""

    certificates: tuple[bytes, ...]
    next_key: bytes | None = None
    key: bytes | None = None

    def make(self, directory: DataDirectory) -> None:
        # Where the CA's key is lost, another of the same owner has the mode that it is to have.
        key_like = directory.ca_key if directory.ca_key.exists() else directory.master_key
        if self.next_key is not None:
            put_file(directory.next_ca_key, self.next_key, like=key_like)
        text = b"".join(self.certificates)
        put_file(directory.ca_certificate, text, like=directory.ca_certificate)
        if self.key is not None:
            put_file(directory.ca_key, self.key, like=key_like)
            directory.next_ca_key.unlink()


def _step(
    installation: Installation, step: Step, names: Sequence[str], *, force: bool
) -> Sequence[bytes] | None:
    """The CAs after a step; None where another command has changed them meanwhile.

    It is on record before a file is changed. Whatever ends it between, the same step again does the rest.
    """
    directory = installation.directory
    with installation.store.write() as tx:
        before = _certificates(directory)
        match step:
            case Step.ADD:
                change = _add(installation, before, names)
            case Step.USE:
                change = _use(directory, before)
            case Step.DROP:
                change = _drop(directory, before)
        if change is None:
            _say(tx, before)
            return before
        behind = _behind(step, before, tx.machines.find())
        if behind and not force:
            raise CommandFailed(_told_behind(step, behind))
        _record(tx, installation, step, change.certificates, left_behind=behind)
    with installation.store.write() as tx:
        if _certificates(directory) != before:
            return None
        try:
            change.make(directory)
        except OSError as problem:
            failure = Outcome(error_code="Failed", error_message=reason(problem))
            _record(tx, installation, step, _certificates(directory), failure=failure)
            failed = problem
        else:
            _say(tx, change.certificates)
            return change.certificates
    raise failed


def _say(tx: Transaction, certificates: Sequence[bytes]) -> None:
    """Which CAs clients are to trust: a control plane that has not followed yet names none to machines."""
    state = KeyState(kind=AUTHORITY, key_ids=tuple(map(fingerprint, certificates)))
    if tx.key_states.get(AUTHORITY) != state:
        tx.key_states.put(state)


def _certificates(directory: DataDirectory) -> list[bytes]:
    found = certificates_in(read_as_owner(directory.ca_certificate))
    if not found:
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup")
    return found


def _add(installation: Installation, before: Sequence[bytes], names: Sequence[str]) -> _Change | None:
    directory = installation.directory
    if len(before) > 1:
        if not directory.next_ca_key.exists():
            raise BadUsage("clients are still told to trust the old CA: run --step drop first")
        return None
    permitted = (*permitted_dns_names(before[0]), *gateway_dns_names(installation), *names)
    # A name of its own: not every store of certificates keeps two CAs of one name apart.
    own = os.urandom(4).hex()
    name = without_wildcard(certificate_name(installation.account.gateway_dns_name))
    common_name = f"{OWN_NAME}{own} of {name}"[:64]
    pair = create_ca(common_name, permitted, datetime.now(UTC))
    return _Change((*before, pair.certificate), next_key=pair.key)


def _use(directory: DataDirectory, before: Sequence[bytes]) -> _Change | None:
    path = directory.next_ca_key
    if not path.exists():
        if len(before) > 1:
            return None
        raise BadUsage("there is no next CA to use: run --step add first")
    key = read_private_file(CA_KEY, path, _LONGEST_PEM)
    own = [each for each in before if belongs_to(KeyPair(each, key))]
    if len(own) != 1:
        raise BadUsage(
            f"{path} belongs to no CA that clients are told to trust: remove it, and run --step add"
        )
    return _Change((*own, *(each for each in before if each not in own)), key=key)


def _drop(directory: DataDirectory, before: Sequence[bytes]) -> _Change | None:
    if directory.next_ca_key.exists():
        raise BadUsage("the old CA still issues: run --step use first")
    if len(before) == 1:
        return None
    if directory.server_certificate.exists() and not is_issued_by(
        read_as_owner(directory.server_certificate), before[0]
    ):
        raise CommandFailed(
            "the server's certificate is still from the old CA: send the server a SIGHUP (systemctl reload"
            " hatchway), or start it, and then run this again"
        )
    return _Change(tuple(before[:1]))


def _behind(step: Step, before: Sequence[bytes], machines: Sequence[Machine]) -> list[Machine]:
    """The machines for which a step comes too soon."""
    match step:
        case Step.ADD:
            return []
        case Step.USE:
            wanted = set(told_authorities(list(map(fingerprint, before))))
            return [each for each in machines if not wanted <= set(each.key_ids)]
        case Step.DROP:
            return [
                each
                for each in machines
                if each.certificate is not None and not is_issued_by(each.certificate.encode(), before[0])
            ]


def _told_behind(step: Step, behind: Sequence[Machine]) -> str:
    named = f"{behind[0].name} ({behind[0].id})"
    more = f" and {len(behind) - 1} more" if len(behind) > 1 else ""
    lacks = "not said that it trusts the next CA"
    if step is Step.DROP:
        lacks = "a certificate of the former CA yet"
    return (
        f"{named}{more} cannot do this step yet, and has {lacks}: a machine asks once a minute for what has"
        " changed, while its server runs. Wait, upgrade one of an older version, or remove one that is"
        " permanently gone (hatchway machine remove). --force waits for none: one that is behind then has"
        " to join again (hatchway join --again)"
    )


def _record(
    tx: Transaction,
    installation: Installation,
    step: Step,
    now: Sequence[bytes],
    *,
    failure: Outcome | None = None,
    left_behind: Sequence[Machine] = (),
) -> None:
    parameters: dict[str, Any] = {"step": step.value}
    if left_behind:
        parameters["leftBehind"] = [each.id for each in left_behind]
    answer = {"certificateAuthorities": [fingerprint(each) for each in now]}
    record(
        tx,
        installation.account,
        datetime.now(UTC),
        "RotateCertificateAuthority",
        parameters=parameters,
        answer=answer,
        failure=failure,
    )
