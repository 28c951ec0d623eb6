"""Where this machine's API is: the server notes it down for commands that write profiles and scripts."""

import json
from dataclasses import dataclass
from pathlib import Path

from hatchway.installation.secret_files import replace_private
from hatchway.privileges import read_as_owner
from hatchway.settings import DEFAULT_API_PORT, LOOPBACK, Address, DataDirectory, is_everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLocation:
    """
    Attributes:
        url: by which a client on this machine reaches it.
        everywhere: whether it listens at all of this machine's addresses.
        private_ca: whether clients need the installation's own CA certificate to trust it.
        certificate: the one it shows; None where only an earlier version has noted the location. Whose the
            data directory is has noted it: it is to be opened as he may (`read_as_owner`).
        noted: whether a server has noted it. If not, it is a default's.
    """

    url: str
    everywhere: bool
    private_ca: bool
    certificate: Path | None
    noted: bool = True

    @classmethod
    def of(cls, address: Address, dns_name: str, *, private_ca: bool, certificate: Path) -> "ApiLocation":
        """Of an API that listens at an address; one that listens everywhere is known by its DNS name."""
        everywhere = is_everywhere(address.host)
        url = f"https://{Address(dns_name, address.port) if everywhere else address}"
        return cls(url=url, everywhere=everywhere, private_ca=private_ca, certificate=certificate)

    @classmethod
    def read(cls, directory: DataDirectory) -> "ApiLocation":
        """As the server noted it, or the default's when it never ran."""
        own = directory.server_certificate
        try:
            noted = json.loads(read_as_owner(directory.api_location))
            private_ca = bool(noted["private_ca"])
            file = str(noted.get("certificate") or "")
            return cls(
                url=str(noted["url"]),
                everywhere=bool(noted.get("everywhere", False)),
                private_ca=private_ca,
                certificate=Path(file) if file else own if private_ca else None,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            url = f"https://{Address(LOOPBACK, DEFAULT_API_PORT)}"
            return cls(url=url, everywhere=False, private_ca=True, certificate=own, noted=False)

    def written(self) -> bytes:
        """What the file says of it."""
        noted = {"url": self.url, "everywhere": self.everywhere, "private_ca": self.private_ca}
        return json.dumps({**noted, "certificate": str(self.certificate)}).encode()

    def write(self, directory: DataDirectory) -> None:
        # It tells no secret, and not by accident of who starts the server.
        replace_private(directory.api_location, self.written(), 0o644)
