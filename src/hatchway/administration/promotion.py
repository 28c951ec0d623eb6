"""A control plane that joined in the place of the first machine, which is gone.

The first machine is the one with the private CA's key, where keys are rotated. Another becomes that when its
`machine.json` is taken away: it has the master key and the gateway key already. Where the CA's key is gone
too, a next CA is made, and what it issues is trusted by whoever has `ca.pem` from then on: as in each
rotation (`certificate_authority`), but that nobody issues anything until the step `use`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from hatchway.administration.certificate_authority import Authorities, add_without_key
from hatchway.audit.local_trail import record
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation.first_machine import require_no_first_machine
from hatchway.installation.installation import Installation
from hatchway.installation.joined import Joined
from hatchway.keys.key_files import CA_KEY, KeyProblem, read_private_file
from hatchway.keys.machines import delete_grant
from hatchway.pki.certificate_authority import belongs_to
from hatchway.pki.certificates import KeyPair, PkiProblem
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory

_LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Promoted:
    """`machine_id` is as what it had joined, `next_ca` the CAs where another had to be made."""

    machine_id: str
    next_ca: Authorities | None


def promote(installation: Installation, *, force: bool = False) -> Promoted:
    """Makes this machine the first one.

    Args:
        force: whether it is not to be looked whether the former first one lives.

    Raises:
        BadUsage: it is that already.
        CommandFailed: the former first one lives.
        CommandFailed: a file cannot be read or written, or a CA's key is there that is not that of `ca.pem`.
    """
    directory = installation.directory
    joined = Joined.read(directory)
    if joined is None:
        raise BadUsage(
            f"{directory.path} does not belong to a machine that joined: it is already the first one"
        )
    if not force:
        require_no_first_machine(installation.store, "; --force skips this check")
    next_ca = None
    if directory.ca_certificate.exists() and not _has_ca_key(directory):
        next_ca = add_without_key(installation)
    with installation.store.write() as tx:
        tx.machines.delete(joined.machine_id)
        delete_grant(tx, joined.machine_id)
        record(
            tx,
            installation.account,
            datetime.now(UTC),
            "PromoteMachine",
            parameters={"machineId": joined.machine_id},
            answer={"certificateAuthorities": [] if next_ca is None else list(next_ca.fingerprints)},
        )
        # Within: while there is a row of it, it may be tried again.
        directory.machine.unlink()
    return Promoted(joined.machine_id, next_ca)


def _has_ca_key(directory: DataDirectory) -> bool:
    """Whether somebody has put the CA's key there, from a backup of the first machine.

    Raises:
        CommandFailed: it is another's.
    """
    if not directory.ca_key.exists():
        return False
    try:
        key = read_private_file(CA_KEY, directory.ca_key, _LONGEST)
        if belongs_to(KeyPair(read_as_owner(directory.ca_certificate), key)):
            return True
    except (KeyProblem, PkiProblem) as problem:
        raise CommandFailed(str(problem)) from problem
    raise CommandFailed(
        f"{directory.ca_key} does not belong to the CA that issues now, which has replaced it since: remove"
        " it, and run this again to create another CA"
    )
