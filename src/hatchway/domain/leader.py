"""Which process does what only one is to do."""

from dataclasses import dataclass
from typing import Final

FIRST_MACHINE: Final = "first machine"
"""The role of a control plane on the machine that made the installation: while it leads, that one lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A role and the process that has it.

    `holder` names the process, and is empty when it has left the role; it raises `beat` while it lives.
    `place` is where it works, for people: it stays when the holder has left.
    """

    role: str
    holder: str
    beat: int
    place: str
