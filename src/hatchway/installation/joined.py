"""What a machine that joined keeps of itself: `machine.json`."""

import base64
import json
import os
from dataclasses import dataclass, field
from typing import Any, Final

from hatchway.domain.machine import Role
from hatchway.keys.key_files import MACHINE, KeyProblem, read_private_file
from hatchway.settings import DataDirectory

_LONGEST: Final = 65_536


@dataclass(frozen=True, slots=True)
class Joined:
    """What machine.json holds.

    `trusts_ca` is whether the API shows a certificate of the private CA; else one that the system trusts.
    `required` are names that its certificate must be for, whatever the machine is called. `vpcs` and
    `endpoints` are those that a gateway serves.
    """

    machine_id: str
    token: str = field(repr=False)
    role: Role
    api_urls: tuple[str, ...]
    trusts_ca: bool
    private_key: bytes = field(repr=False)
    required: tuple[str, ...] = ()
    vpcs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()

    @classmethod
    def read(cls, directory: DataDirectory) -> "Joined | None":
        """None where the machine did not join: it has made its installation, or been given a copy.

        Raises:
            KeyProblem: the file is damaged, or open to others.
        """
        if not os.path.lexists(directory.machine):
            return None
        try:
            kept: Any = json.loads(read_private_file(MACHINE, directory.machine, _LONGEST))
            serves = kept.get("serves", kept)
            return cls(
                machine_id=str(kept["machine_id"]),
                token=str(kept["token"]),
                role=Role(kept["role"]),
                api_urls=tuple(map(str, kept["api_urls"])),
                trusts_ca=bool(kept["trusts_ca"]),
                private_key=base64.b64decode(kept["private_key"], validate=True),
                required=tuple(map(str, kept["required"])),
                vpcs=tuple(map(str, serves["vpcs"])),
                endpoints=tuple(map(str, serves.get("endpoints", ()))),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise KeyProblem(
                f"{directory.machine} is damaged: {MACHINE.remedy_of_damage.format(path=directory.machine)}"
            ) from problem

    @property
    def text(self) -> bytes:
        kept: dict[str, Any] = {
            "machine_id": self.machine_id,
            "token": self.token,
            "role": self.role.value,
            "api_urls": self.api_urls,
            "trusts_ca": self.trusts_ca,
            "private_key": base64.b64encode(self.private_key).decode("ascii"),
            "required": self.required,
        }
        # A program that knows of no endpoints would serve all: it looks for the VPCs, finds none and ends.
        if self.endpoints:
            kept["serves"] = {"vpcs": self.vpcs, "endpoints": self.endpoints}
        else:
            kept["vpcs"] = self.vpcs
        return json.dumps(kept, indent=2).encode() + b"\n"
