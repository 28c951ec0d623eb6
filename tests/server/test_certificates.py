"""Certificates that a server is given are looked at when it starts."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from hatchway.errors import CommandFailed
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.server.certificates import check_certificate, check_names


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    now = datetime.now(UTC)
    pair = issue_server_certificate(create_ca("test", ["localhost"], now), ["localhost"], now)
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return certificate, key


def test_a_certificate_and_its_key_are_taken(files: tuple[Path, Path]) -> None:
    check_certificate(*files)


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_file_that_is_not_there_is_named(files: tuple[Path, Path], lacking: int) -> None:
    files[lacking].unlink()
    with pytest.raises(CommandFailed, match=f"^cannot read {files[lacking]}: No such file or directory$"):
        check_certificate(*files)


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_directory_in_the_place_of_a_file_is_named(files: tuple[Path, Path], wrong: int) -> None:
    files[wrong].unlink()
    files[wrong].mkdir()
    with pytest.raises(CommandFailed, match=f"^cannot read {files[wrong]}: Is a directory$"):
        check_certificate(*files)


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (["localhost"], []),
        (["localhost", "gw.example", "a.wild.example", "*.wild.example"], ["gw.example"]),
        (["a.b.wild.example"], ["a.b.wild.example"]),
    ],
)
def test_of_a_certificate_that_was_given_the_gateways_names_that_it_lacks_are_told(
    names: list[str], lacking: list[str], tmp_path: Path
) -> None:
    now, certificate = datetime.now(UTC), tmp_path / "gateway.pem"
    has = ["localhost", "*.wild.example"]
    certificate.write_bytes(issue_server_certificate(create_ca("test", has, now), has, now).certificate)
    with capture_logs() as logs:
        check_names((certificate, tmp_path / "key"), names)
        # It is another's to say what is wrong with these.
        check_names(None, names)
        check_names((tmp_path / "none", tmp_path / "key"), names)
    assert [each["names"] for each in logs] == ([lacking] if lacking else [])


def test_a_certificate_of_a_version_that_openssl_alone_reads_is_no_failure(files: tuple[Path, Path]) -> None:
    certificate, _ = files
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    # The second version, where ours are of the third (RFC 5280 section 4.1.2.1).
    of_another = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
    certificate.write_text(ssl.DER_cert_to_PEM_cert(of_another))
    check_certificate(*files)
    with capture_logs() as logs:
        check_names(files, ["localhost"])
    assert logs == []


@pytest.mark.parametrize("damaged", [0, 1])
def test_files_that_are_no_pair_are_refused(files: tuple[Path, Path], damaged: int) -> None:
    files[damaged].write_text("nothing of the kind")
    with pytest.raises(CommandFailed, match="are not a certificate and its private key in PEM form"):
        check_certificate(*files)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(files: tuple[Path, Path]) -> None:
    key = load_pem_private_key(files[1].read_bytes(), None)
    files[1].write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(CommandFailed, match="has a passphrase, which a server cannot be asked for: openssl"):
        check_certificate(*files)
