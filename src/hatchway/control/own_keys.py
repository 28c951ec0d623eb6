"""The keys of this control plane's own that it hands out to machines that join, and when they changed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from hatchway.domain.machine import Role
from hatchway.keys.key_files import CA_KEY, FollowedKeyFile, KeyProblem, Keys, read_private_file
from hatchway.keys.machines import AUTHORITY, GATEWAY, MASTER, ids_of
from hatchway.pki.certificate_authority import belongs_to
from hatchway.pki.certificates import KeyPair, PkiProblem, certificates_in, fingerprint
from hatchway.privileges import read_as_owner
from hatchway.store import Transaction

_LONGEST: Final = 65_536
_MOST_REMEMBERED: Final = 2000


class Authority:
    """The private CA, as its files are now; its key is on one machine alone.

    The key is read when this is made, since its file may be root's, and again whenever that can be done.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key_file = key
        self._key: bytes | None = None
        self._read_key()

    def certificates(self) -> bytes | None:
        """Those that clients are to trust, the one that issues first; None where there is no private CA."""
        try:
            text = read_as_owner(self._certificate)
            return text if certificates_in(text) else None
        except (OSError, PkiProblem):
            return None

    def fingerprints(self) -> tuple[str, ...]:
        """Theirs, by SHA-256."""
        certificates = self.certificates()
        return () if certificates is None else tuple(map(fingerprint, certificates_in(certificates)))

    def issuer(self) -> KeyPair | None:
        """The CA with its key; None where that is elsewhere."""
        certificates = self.certificates()
        if certificates is None:
            return None
        self._read_key()
        pair = None if self._key is None else KeyPair(certificates, self._key)
        return pair if pair is not None and belongs_to(pair) else None

    def _read_key(self) -> None:
        try:
            self._key = read_private_file(CA_KEY, self._key_file, _LONGEST)
        except KeyProblem:
            # Elsewhere, or root's: then what was read at the start is used.
            return


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """What this control plane has. The files are followed for this alone: vaults have their own."""

    master: FollowedKeyFile
    gateway: FollowedKeyFile
    authority: Authority
    _handed: dict[str, tuple[tuple[str, ...], datetime]] = field(default_factory=dict)
    """Which keys each machine was given last, and when."""

    def held(self, role: Role) -> dict[str, Keys]:
        """What a machine of that role is to have, by kind."""
        for file in (self.master, self.gateway):
            file.changed()
        own = {GATEWAY: self.gateway.held}
        return own if role is Role.GATEWAY else {**own, MASTER: self.master.held}

    def hand_out(self, machine_id: str, key_ids: tuple[str, ...], now: datetime, pause: timedelta) -> bool:
        """Whether a machine is to be given these keys now: not those that it was given a moment ago. Each
        time is in the trail, which a machine must not fill."""
        before = self._handed.get(machine_id)
        if before is not None and before[0] == key_ids and abs(now - before[1]) < pause:
            return False
        if len(self._handed) >= _MOST_REMEMBERED:
            self._handed.clear()
        self._handed[machine_id] = key_ids, now
        return True

    def is_current(self, tx: Transaction, role: Role) -> bool:
        """Whether what it has is what was last put in place anywhere. Only then it hands it out: it may be
        the one that has not heard of it yet."""
        authorities = tx.key_states.get(AUTHORITY)
        if authorities is not None and authorities.key_ids != self.authority.fingerprints():
            return False
        for kind, keys in self.held(role).items():
            state = tx.key_states.get(kind)
            if state is not None and (state.key_ids, state.other) != (ids_of(keys), keys.called):
                return False
        return True
