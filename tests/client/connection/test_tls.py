"""Whom we trust: what is quick to read is tried first, and decides nothing that all of it would not."""

import errno
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.client.certificates import Certificates, make_certificates
from tests.transport.compiled import needs_core

from hatchway.client.connection.tls import Trust, advice, unknown_ca
from hatchway.client.errors import InvalidOption


@dataclass
class Server:
    port: int = 0
    connections: int = 0

    def dial(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 30)


@pytest.fixture
def server(certificates: Certificates) -> Iterator[Server]:
    made = Server()
    context = certificates.server_context()

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listening.accept()
                made.connections += 1
                with suppress(OSError), context.wrap_socket(sock, server_side=True) as secure:
                    secure.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        made.port = listening.getsockname()[1]
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def other(tmp_path: Path) -> Certificates:
    """A CA that has issued nothing of the server's."""
    (tmp_path / "other").mkdir()
    return make_certificates(tmp_path / "other", "other.test")


@pytest.fixture
def hashed(tmp_path: Path) -> Callable[[Path], Path]:
    """Makes a directory in which OpenSSL finds a certificate."""

    def make(certificate: Path) -> Path:
        directory = tmp_path / "hashed"
        directory.mkdir()
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        (directory / f"{name}.0").symlink_to(certificate)
        return directory

    return make


def everything_was_read(trust: Trust) -> bool:
    return "everything" in vars(trust)


def test_whoever_the_bundle_vouches_for_is_connected_to_without_the_rest_read(
    server: Server, certificates: Certificates
) -> None:
    trust = Trust(str(certificates.ca))
    trust.connect(server.dial, "localhost").close()
    assert not everything_was_read(trust)


def test_the_system_s_directory_vouches_without_its_file_read(
    server: Server,
    certificates: Certificates,
    hashed: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed(certificates.ca)))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    trust = Trust(None)
    trust.connect(server.dial, "localhost").close()
    assert not everything_was_read(trust)


@needs_core
def test_each_of_the_system_s_directories_vouches_where_the_core_carries(
    server: Server,
    certificates: Certificates,
    hashed: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}:{hashed(certificates.ca)}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    shake_hands_by_core(Trust(None), server)


@needs_core
def test_a_bundle_whose_path_is_not_utf_8_vouches_where_the_core_carries(
    server: Server, certificates: Certificates, hashed: Callable[[Path], Path], tmp_path: Path
) -> None:
    bundle = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.pem")
    Path(bundle).write_bytes(certificates.ca.read_bytes())
    shake_hands_by_core(Trust(bundle), server)
    directory = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    hashed(certificates.ca).rename(directory)
    shake_hands_by_core(Trust(directory), server)


@pytest.mark.parametrize("bundle", ["ca\0.pem", "ca\ud800.pem"], ids=["nul", "no-bytes"])
def test_a_bundle_that_is_no_path_is_refused(bundle: str) -> None:
    with pytest.raises(InvalidOption, match=r"the CA bundle ca\ufffd\.pem is no path: correct --ca-bundle"):
        Trust(bundle)


def shake_hands_by_core(trust: Trust, server: Server) -> None:
    session = trust.compiled.session("localhost")
    with server.dial() as sock:
        for _ in range(100):
            with suppress(ssl.SSLWantReadError):
                session.do_handshake()
                break
            sock.sendall(session.outgoing.read())
            session.incoming.write(sock.recv(1 << 16))
        else:
            pytest.fail("the handshake has no end")


def test_what_only_the_system_s_file_vouches_for_is_asked_once_more_and_the_next_time_at_once(
    server: Server,
    certificates: Certificates,
    other: Certificates,
    hashed: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(hashed(other.ca)))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    trust = Trust(str(other.ca))
    trust.connect(server.dial, "localhost").close()
    assert server.connections == 2
    trust.connect(server.dial, "localhost").close()
    assert server.connections == 3


def test_a_system_without_such_a_directory_has_its_file_read(
    server: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    Trust(None).connect(server.dial, "localhost").close()
    assert server.connections == 1


def test_a_directory_that_cannot_be_read_vouches_for_nobody_and_keeps_nobody_from_the_file(
    server: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    # Root may read every one.
    monkeypatch.setattr("hatchway.client.connection.tls.os.scandir", refuse)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    Trust(None).connect(server.dial, "localhost").close()
    assert server.connections == 1


@pytest.mark.parametrize("name", ["localhost", "elsewhere.test"])
def test_whom_nobody_vouches_for_is_not_connected_to(
    server: Server, certificates: Certificates, other: Certificates, name: str
) -> None:
    # Of a name that is not in its certificate it is none either.
    ca = other.ca if name == "localhost" else certificates.ca
    with pytest.raises(ssl.SSLCertVerificationError):
        Trust(str(ca)).connect(server.dial, name)


@pytest.mark.parametrize(
    ("code", "said"), [(10, "clock"), (9, "clock"), (62, "a name that its certificate has"), (20, "the CA")]
)
def test_what_to_do_about_a_certificate_depends_on_what_is_wrong_with_it(code: int, said: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code = code
    assert said in advice(error, "give the CA")


def test_where_a_ca_is_not_known_an_environment_that_names_another_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    assert unknown_ca() == "give the CA with --ca-bundle or AWS_CA_BUNDLE"
    monkeypatch.setenv("AWS_CA_BUNDLE", "")
    assert unknown_ca() == "give the CA with --ca-bundle or AWS_CA_BUNDLE"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    assert "AWS_CA_BUNDLE is set" in unknown_ca()
    assert "unset it" in unknown_ca()
    assert "unset it" in unknown_ca("/etc/ssl/certs/ca-certificates.crt")


def test_where_the_ca_bundle_that_was_given_has_not_the_ca_nothing_else_is_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for environment in ("", "/etc/ssl/certs/ca-certificates.crt"):
        monkeypatch.setenv("AWS_CA_BUNDLE", environment)
        said = unknown_ca("/home/alice/ca.pem")
        assert said == "it comes from no CA in /home/alice/ca.pem: give the server's with --ca-bundle"


@pytest.mark.parametrize(
    "kept", [(), ("everything",), pytest.param(("everything", "compiled"), marks=needs_core)]
)
def test_a_bundle_that_has_another_ca_now_is_read_anew(
    server: Server, certificates: Certificates, other: Certificates, tmp_path: Path, kept: tuple[str, ...]
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(other.ca.read_bytes())
    trust = Trust(str(bundle))
    held = [getattr(trust, name) for name in kept]
    trust.renew()
    assert [getattr(trust, name) for name in kept] == held
    with pytest.raises(ssl.SSLCertVerificationError):
        trust.connect(server.dial, "localhost")
    # As whoever writes it leaves it half written.
    bundle.write_text("-----BEGIN CERT")
    trust.renew()
    bundle.write_bytes(other.ca.read_bytes() + certificates.ca.read_bytes())
    trust.renew()
    trust.connect(server.dial, "localhost").close()
    assert all(getattr(trust, name) is not before for name, before in zip(kept, held, strict=True))
