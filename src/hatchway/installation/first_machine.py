"""The first machine of an installation: there must not be two."""

import time

from hatchway.domain.leader import FIRST_MACHINE
from hatchway.errors import CommandFailed
from hatchway.store import Store, living_leader


def require_no_first_machine(store: Store, otherwise: str = "") -> None:
    """Looks, for some seconds where its last word is no farewell, whether the first machine lives.

    Args:
        otherwise: what else may be done than to stop it.

    Raises:
        CommandFailed: it lives.
    """
    first = living_leader(store, FIRST_MACHINE, time.monotonic, time.sleep)
    if first is not None:
        raise CommandFailed(
            f"the first machine still runs: its control plane on {first.place} has just reported to the"
            " store. Two first machines would each issue certificates and rotate keys without the other."
            f" Stop its server for good (systemctl disable --now hatchway), and try again{otherwise}"
        )
