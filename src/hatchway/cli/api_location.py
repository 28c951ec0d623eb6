"""Where this machine's API is: the server notes it down for commands that write profiles and scripts."""

import json
from dataclasses import dataclass

from hatchway.settings import DEFAULT_API_PORT, LOOPBACK, Address, DataDirectory


@dataclass(frozen=True, slots=True)
class ApiLocation:
    """`private_ca`: whether clients need the installation's own CA certificate to trust it."""

    url: str
    private_ca: bool

    @classmethod
    def of(cls, address: Address, dns_name: str, *, private_ca: bool) -> "ApiLocation":
        """Of an API that listens at an address; one that listens everywhere is known by its DNS name."""
        everywhere = address.host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on
        return cls(f"https://{Address(dns_name, address.port) if everywhere else address}", private_ca)

    @classmethod
    def read(cls, directory: DataDirectory) -> "ApiLocation":
        """As the server noted it, or the default's when it never ran."""
        try:
            noted = json.loads(directory.api_location.read_text(encoding="utf-8"))
            return cls(str(noted["url"]), bool(noted["private_ca"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(f"https://{Address(LOOPBACK, DEFAULT_API_PORT)}", private_ca=True)

    def write(self, directory: DataDirectory) -> None:
        aside = directory.api_location.with_suffix(".new")
        aside.write_text(json.dumps({"url": self.url, "private_ca": self.private_ca}), encoding="utf-8")
        aside.replace(directory.api_location)
