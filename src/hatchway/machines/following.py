"""What a machine that joined has, kept up: certificates before they end, keys and CAs when others take their
place."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from hatchway.domain.machine import Role
from hatchway.errors import CommandFailed, reason
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import replace_private
from hatchway.keys.key_files import KeyProblem, read_keys
from hatchway.keys.machines import GATEWAY
from hatchway.machines.calls import (
    FILES,
    KINDS,
    MOST_NAMES,
    MachineApi,
    opened,
    own_names,
    read_given,
)
from hatchway.pki.certificates import PkiProblem, certificates_in
from hatchway.pki.renewal import is_due
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory

_MORE_TRIES: Final = 4


def renew(directory: DataDirectory, joined: Joined, now: datetime, further: Sequence[str] = ()) -> list[str]:
    """Asks what this machine is to have now, and puts it in place: what became another.

    Args:
        further: by which names and addresses a control plane is called besides.

    Raises:
        CommandFailed: the API refuses or cannot be reached, or a file cannot be written.
    """
    try:
        return _renew(directory, joined, now, further)
    except (KeyProblem, PkiProblem) as problem:
        raise CommandFailed(str(problem)) from problem
    except OSError as problem:
        raise CommandFailed(
            f"cannot use {problem.filename or directory.path}: {reason(problem)}"
        ) from problem


def _renew(directory: DataDirectory, joined: Joined, now: datetime, further: Sequence[str]) -> list[str]:
    changed = []
    wanted = [kind for kind in FILES if kind == GATEWAY or joined.role is Role.CONTROL]
    held = {
        kind: read_keys(KINDS[kind], directory.path / FILES[kind], os.environ)
        for kind in wanted
        # One that was taken away is given anew.
        if KINDS[kind].variable in os.environ or os.path.lexists(directory.path / FILES[kind])
    }
    api = MachineApi(joined, directory, held, [*further, *own_names()][:MOST_NAMES])
    answer = api.ask()
    for _ in range(_MORE_TRIES):
        if answer.is_current:
            break
        # By a load balancer it may have been this very machine.
        answer = api.ask()
    if (sealed := answer.maybe("keys")) is not None:
        for kind, text in opened(joined, sealed).items():
            if kind not in wanted or KINDS[kind].variable in os.environ or read_given(text) == held.get(kind):
                continue
            replace_private(directory.path / FILES[kind], read_given(text).text)
            held[kind] = read_given(text)
            changed.append(FILES[kind])
        # Those who do the next step wait for it to say that it has this one.
        api.ask()
    if (authorities := answer.maybe("ca")) is None:
        return changed
    if not certificates_in(authorities.encode()):
        raise CommandFailed("the API names no CA: see that ca.pem is there")
    if authorities.encode() != read_as_owner(directory.ca_certificate):
        replace_private(directory.ca_certificate, authorities.encode(), 0o644)
        changed.append(directory.ca_certificate.name)
        # As with keys; by next minute at the latest. Who answers may show a certificate of the former CA yet.
        with suppress(CommandFailed):
            api.ask()
    # Left by a joining that was killed when all was in place.
    directory.unfinished_join.unlink(missing_ok=True)
    current = _content(directory.server_certificate)
    if is_due(current, authorities.encode(), answer.texts("names"), now):
        api.ask_for_certificate(now)
        if _content(directory.server_certificate) != current:
            changed.append(directory.server_certificate.name)
    return changed


def _content(path: Path) -> bytes:
    """A file's; nothing where there is none."""
    try:
        return read_as_owner(path)
    except FileNotFoundError:
        return b""
