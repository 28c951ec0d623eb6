"""`access-key create --bundle`: what a user needs on his own machine, checked before there is a key."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hatchway.administration.api_urls import elsewhere
from hatchway.client.setup.bundle import Bundle, bundle_files, check_target, write_bundle
from hatchway.client.setup.trust import Authority
from hatchway.errors import BadUsage
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation, gateway_dns_names
from hatchway.privileges import as_owner_of
from hatchway.settings import DEFAULT_GATEWAY_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class IntoBundle:
    """Where a new key is to go.

    Attributes:
        target: a ZIP file or a directory that is not there yet.
        profile: what the user's profile is to be called.
        ca_certificate: the CA of the API and the gateway, where it is not the private one.
    """

    target: Path
    profile: str
    endpoint_url: str | None = None
    ca_certificate: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyBundle:
    """All of a bundle but the key; `notes` are for whoever runs the command."""

    into: IntoBundle
    user: str
    url: str
    region: str
    places: tuple[str, ...]
    ca: bytes | None
    api_has_ca: bool
    notes: tuple[str, ...]

    def write(self, access_key_id: str, secret_access_key: str) -> None:
        """
        Raises:
            CommandFailed: it cannot be written.
        """
        bundle = Bundle(
            user=self.user,
            profile=self.into.profile,
            endpoint_url=self.url,
            region=self.region,
            places=self.places,
            ca=self.ca,
            api_has_ca=self.api_has_ca,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
        )
        write_bundle(self.into.target, bundle_files(bundle), f"hatchway-{self.into.profile}")


def ready_bundle(installation: Installation, user: str, into: IntoBundle) -> ReadyBundle:
    """
    Raises:
        BadUsage: another machine could not use it, or it has no place to go to.
    """
    check_target(into.target)
    location = ApiLocation.read(installation.directory)
    private_ca = into.ca_certificate is None and location.private_ca
    url = elsewhere(installation, into.endpoint_url, private_ca=private_ca)
    names = gateway_dns_names(installation)
    notes = list(url.notes)
    if "localhost" in names:
        notes.append(
            "the gateway's DNS name is localhost, so that the AWS CLI's tunnels lead nowhere from another"
            " machine: give VPCs a gateway_dns_name, or make an installation with --gateway-dns-name"
        )
    parts = urlsplit(url.url)
    own = installation.directory.ca_certificate
    if into.ca_certificate is not None:
        ca: bytes | None = _authorities(into.ca_certificate)
    else:
        # With certificates of its own, all of them perhaps, an installation need not have a CA any more.
        with as_owner_of(installation.directory.path):
            ca = _authorities(own) if own.exists() else None
    return ReadyBundle(
        into=into,
        user=user,
        url=url.url,
        region=installation.account.region,
        places=(
            f"{parts.hostname}, port {parts.port or 443}",
            *(f"{name}, port {DEFAULT_GATEWAY_PORT}" for name in names if name != "localhost"),
        ),
        ca=ca,
        api_has_ca=location.private_ca or into.ca_certificate is not None,
        notes=tuple(notes),
    )


@contextmanager
def removed_on_failure(target: Path) -> Iterator[None]:
    """Takes away what the block put there when it raises: a bundle whose key there is not."""
    there = os.path.lexists(target)
    try:
        yield
    except BaseException:
        if not there and target.is_dir():
            shutil.rmtree(target)
        elif not there:
            target.unlink(missing_ok=True)
        raise


def _authorities(file: Path) -> bytes:
    # The same check as that of `hatchway trust install`.
    pem = b"".join(authority.pem for authority in Authority.read(file))
    try:
        return pem.decode("ascii").replace("\r\n", "\n").encode("ascii")
    except UnicodeDecodeError as problem:
        raise BadUsage(f"{file} holds no CA certificate in PEM form") from problem
