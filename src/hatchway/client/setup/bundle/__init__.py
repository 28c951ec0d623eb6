"""What somebody needs on his own machine, in one file to hand to him: profile, CA, and how to install them.

A profile names its CA by an absolute path, for AWS tools expand none (botocore's `ca_bundle`), and nobody
here knows his home directory. So the bundle's `install.sh` fills it in there; it also takes all away again.

| file | what |
|---|---|
| `README.txt` | what to install and to do, on Linux, macOS and Windows |
| `config`, `credentials` | the profile's sections of the two files of AWS tools |
| `hatchway-ca.crt` | the private CA |
| `install.sh` | does it, on Linux and macOS |
"""

import io
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hatchway.errors import BadUsage, CommandFailed

CA_FILE: Final = "hatchway-ca.crt"
_PLACEHOLDER: Final = re.compile(r"@([A-Z0-9_]+)@")
_FIRST_DOS_YEAR: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """
    Attributes:
        places: what his machine must be able to reach, a line each.
        ca: the certificate of the CA to trust, in PEM form; None where everybody trusts it.
        api_has_ca: whether the API's certificate is of that CA too, and not the gateway's alone.
    """

    user: str
    profile: str
    endpoint_url: str
    region: str
    places: Sequence[str]
    ca: bytes | None
    api_has_ca: bool
    access_key_id: str
    secret_access_key: str = field(repr=False)


def bundle_files(bundle: Bundle) -> dict[str, tuple[str, int]]:
    """The files by name, each with its mode."""
    section = "default" if bundle.profile == "default" else f"profile {bundle.profile}"
    by_ca = bundle.ca is not None and bundle.api_has_ca
    config = [f"[{section}]", f"region = {bundle.region}", f"endpoint_url = {bundle.endpoint_url}"]
    if by_ca:
        config.append(f"ca_bundle = {CA_FILE}")
    credentials = [
        f"[{bundle.profile}]",
        f"aws_access_key_id = {bundle.access_key_id}",
        f"aws_secret_access_key = {bundle.secret_access_key}",
    ]
    values = {**_trust_values(bundle.ca), **_readme_values(bundle, by_ca=by_ca)}
    files = {
        "README.txt": (_filled_in("README.txt", values), 0o644),
        "config": (_text(config), 0o644),
        "credentials": (_text(credentials), 0o600),
        "install.sh": (_filled_in("install.sh", values), 0o755),
    }
    if bundle.ca is not None:
        files[CA_FILE] = (bundle.ca.decode("ascii"), 0o644)
    return files


def check_target(target: Path) -> None:
    """
    Raises:
        BadUsage: there is something already, or nothing to put it into.
    """
    if os.path.lexists(target):
        raise BadUsage(f"--bundle {target} already exists: choose another name, or move it away")
    if not target.absolute().parent.is_dir():
        raise BadUsage(f"--bundle {target}: there is no directory {target.absolute().parent}")


def write_bundle(target: Path, files: Mapping[str, tuple[str, int]], name: str) -> None:
    """Makes a ZIP file, if the target's name ends so, or else a directory.

    Only its owner can read it. It is there whole or not at all. In a ZIP file all is in a directory of
    this name.

    Raises:
        CommandFailed: it cannot be written.
    """
    try:
        if target.suffix.lower() == ".zip":
            _write_file(target, _zipped(files, name))
        else:
            _write_directory(target, files)
    except OSError as problem:
        raise CommandFailed(f"cannot write {target}: {problem.strerror or problem}") from problem


def _zipped(files: Mapping[str, tuple[str, int]], name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, (text, mode) in files.items():
            entry = zipfile.ZipInfo(f"{name}/{file}", _FIRST_DOS_YEAR)
            entry.external_attr = mode << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def _write_file(target: Path, content: bytes) -> None:
    descriptor, aside = tempfile.mkstemp(prefix=".bundle-", dir=target.absolute().parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        # Unlike rename(2) it takes nobody else's place.
        Path(target).hardlink_to(aside)
    finally:
        Path(aside).unlink()


def _write_directory(target: Path, files: Mapping[str, tuple[str, int]]) -> None:
    target.mkdir(mode=0o700)
    try:
        for file, (text, mode) in files.items():
            descriptor = os.open(target / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                os.fchmod(descriptor, mode)
                out.write(text)
                out.flush()
                os.fsync(descriptor)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _trust_values(ca: bytes | None) -> dict[str, str]:
    if ca is None:
        return {"ANCHOR": "none", "SHA1": "none", "FINGERPRINT": ""}
    certificate = x509.load_pem_x509_certificate(ca)
    fingerprint = certificate.fingerprint(hashes.SHA256())
    return {
        # As `hatchway trust install` names it.
        "ANCHOR": f"hatchway-{fingerprint.hex()[:16]}",
        # By which macOS's security(1) finds a certificate.
        "SHA1": certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
        "FINGERPRINT": f"\n     {fingerprint.hex(':').upper()}",
    }


def _readme_values(bundle: Bundle, *, by_ca: bool) -> dict[str, str]:
    copied = rf"$HOME\.aws\hatchway-{bundle.profile}.crt"
    windows = r"     Get-Content config | Add-Content $HOME\.aws\config"
    if by_ca:
        windows = (
            f'     Copy-Item {CA_FILE} "{copied}"\n'
            f'     (Get-Content config).Replace("{CA_FILE}", "{copied}") | Add-Content $HOME\\.aws\\config'
        )
    by_hand = f", and after ca_bundle the whole path of the file {CA_FILE}" if by_ca else ""
    trust = "3. There is nothing that your system must be told to trust.\n\n"
    if bundle.ca is not None:
        trust = _filled_in("TRUST.txt", _trust_values(bundle.ca))
    return {
        "USER": bundle.user,
        "UNDERLINE": "=" * len(f"Hatchway for {bundle.user}"),
        "PROFILE": bundle.profile,
        "PLACES": "\n".join(f"  {place}" for place in bundle.places),
        "WINDOWS_CA": windows,
        "WINDOWS_UNDO": ",\n   and the CA with certmgr.msc" if bundle.ca is not None else "",
        "BY_HAND": by_hand,
        "TRUST": trust,
    }


def _filled_in(template: str, values: Mapping[str, str]) -> str:
    text = resources.files(__package__).joinpath(template).read_text(encoding="utf-8")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
