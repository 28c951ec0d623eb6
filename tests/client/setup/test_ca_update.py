"""A profile's CAs are brought up to date by an API that the former ones vouch for, and by nobody else."""

import http.server
import ipaddress
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.client.proxies import running_proxy

from hatchway.client.setup.ca_update import PATH, update
from hatchway.errors import CommandFailed
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.pki.certificates import KeyPair, fingerprint

NOW = datetime.now(UTC)
Serve = Callable[[bytes], str]


@pytest.fixture(scope="module")
def authorities() -> list[KeyPair]:
    return [create_ca(f"Hatchway CA {number}", ["localhost"], NOW) for number in range(3)]


@contextmanager
def serving(directory: Path, ca: KeyPair, body: bytes) -> Iterator[str]:
    """An API whose certificate is of the CA, and which names these."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == PATH else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    pair = issue_server_certificate(ca, ["localhost"], NOW)
    (directory / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_what_the_api_names_takes_the_place_of_what_was_there(
    tmp_path: Path, authorities: list[KeyPair]
) -> None:
    first, second, _ = authorities
    file = tmp_path / "ca.crt"
    file.write_bytes(first.certificate)
    file.chmod(0o640)
    both = first.certificate + second.certificate
    with serving(tmp_path, first, both) as url:
        assert update(url + "/", file) == (fingerprint(first.certificate), fingerprint(second.certificate))
        assert file.read_bytes() == both
        assert file.stat().st_mode & 0o777 == 0o640
        assert update(url, file) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.crt", "server.pem"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_the_file_stays_its_owners(tmp_path: Path, authorities: list[KeyPair]) -> None:
    first, second, _ = authorities
    file = tmp_path / "ca.crt"
    file.write_bytes(first.certificate)
    file.chmod(0o600)
    os.chown(file, 65534, 65533)
    with serving(tmp_path, first, first.certificate + second.certificate) as url:
        assert update(url, file) is not None
    assert (file.stat().st_uid, file.stat().st_gid) == (65534, 65533)


def test_what_else_is_in_the_file_stays_as_it_is(tmp_path: Path, authorities: list[KeyPair]) -> None:
    first, second, _ = authorities
    # Of another Hatchway, of a company, of somebody who only calls it so; and a certificate that is no CA's.
    other = create_ca("Hatchway CA of other.test", ["other.test"], NOW).certificate
    company = create_ca("Example Corp", ["localhost"], NOW).certificate
    leaf = issue_server_certificate(second, ["localhost"], NOW).certificate
    around = ["# Gepr\u00fcft\n".encode(), company, b"\r\n# ours\r\n", b"# end", b"\n", leaf, other]
    file = tmp_path / "ca.crt"

    def holding(*ours: KeyPair) -> bytes:
        certificates = b"".join(each.certificate for each in ours)
        return b"".join([*around[:3], certificates, *around[3:]])

    file.write_bytes(holding(first))
    with serving(tmp_path, first, first.certificate + second.certificate) as url:
        assert update(url, file) is not None
        assert file.read_bytes() == holding(first, second)
        assert update(url, file) is None
    with serving(tmp_path, second, second.certificate) as url:
        assert update(url, file) == (fingerprint(second.certificate),)
    assert file.read_bytes() == holding(second)


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (lambda cas: cas[1].certificate, "holds none of the CAs that"),
        (lambda _cas: b"<html>Welcome</html>", "holds no CA certificate in PEM form"),
        (
            lambda cas: issue_server_certificate(cas[0], ["localhost"], NOW).certificate,
            "holds no CA certificate in PEM form",
        ),
    ],
)
def test_an_answer_that_vouches_for_nothing_known_changes_nothing(
    named: Callable[[list[KeyPair]], bytes], why: str, tmp_path: Path, authorities: list[KeyPair]
) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(authorities[0].certificate)
    with (
        serving(tmp_path, authorities[0], named(authorities)) as url,
        pytest.raises(CommandFailed, match=why),
    ):
        update(url, file)
    assert file.read_bytes() == authorities[0].certificate


def unfenced(*left_out: str, **others: Any) -> bytes:
    """A CA that may do more than those of Hatchway's: without some of what fences them in, or with other of
    it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hatchway CA of localhost")])
    private = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))
    extensions: dict[str, Any] = {
        "basic": x509.BasicConstraints(ca=True, path_length=0),
        "usage": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        "names": x509.NameConstraints([x509.DNSName("localhost"), private], None),
        **others,
    }
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    for what, extension in extensions.items():
        if what not in left_out:
            builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def only(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(list(names), None)


ANY_ADDRESS = x509.IPAddress(ipaddress.ip_network("0.0.0.0/0"))
PRIVATE = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))


@pytest.mark.parametrize(
    "ca",
    [
        unfenced("names"),
        unfenced("usage"),
        unfenced(basic=x509.BasicConstraints(ca=True, path_length=None)),
        unfenced(
            usage=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING])
        ),
        unfenced(names=only(x509.DNSName("localhost"))),
        unfenced(names=only(PRIVATE)),
        unfenced(names=only(x509.DNSName("localhost"), ANY_ADDRESS)),
        unfenced(names=only(x509.DNSName(""), PRIVATE)),
    ],
)
def test_a_ca_that_could_pose_as_anybody_is_not_taken_over(
    ca: bytes, tmp_path: Path, authorities: list[KeyPair]
) -> None:
    """Whoever has a certificate of the CA may name others: a thief of a gateway's too."""
    first = authorities[0]
    file = tmp_path / "ca.crt"
    file.write_bytes(first.certificate)
    with (
        serving(tmp_path, first, first.certificate + ca) as url,
        pytest.raises(CommandFailed, match="could pose as anybody"),
    ):
        update(url, file, ["localhost"])
    assert file.read_bytes() == first.certificate


def test_a_ca_for_further_names_is_taken_over_when_they_are_given(
    tmp_path: Path, authorities: list[KeyPair]
) -> None:
    first = authorities[0]
    further = create_ca("Hatchway CA of lab", ["localhost", "below.localhost", "lab.example"], NOW)
    both = first.certificate + further.certificate
    file = tmp_path / "ca.crt"
    file.write_bytes(first.certificate)
    with serving(tmp_path, first, both) as url:
        for names in ([], ["other.example"], ["x.lab.example"]):
            with pytest.raises(CommandFailed, match=r"give --name lab\.example$"):
                update(url, file, names)
        assert file.read_bytes() == first.certificate
        assert update(url, file, ["lab.example"]) is not None
    assert file.read_bytes() == both


def test_an_api_that_is_not_trusted_or_not_there_changes_nothing(
    tmp_path: Path, authorities: list[KeyPair]
) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(authorities[0].certificate)
    with (
        serving(tmp_path, authorities[1], authorities[0].certificate) as url,
        pytest.raises(CommandFailed, match="certificate verify failed"),
    ):
        update(url, file)
    with pytest.raises(CommandFailed, match="see that the API is there"):
        update("https://127.0.0.1:1", file)
    assert file.read_bytes() == authorities[0].certificate
    for text in (b"", b"no certificate", b"\xff"):
        file.write_bytes(text)
        with pytest.raises(CommandFailed):
            update("https://127.0.0.1:1", file)


def test_what_comes_without_tls_says_nothing_of_whom_to_trust(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="over http anybody"):
        update("HTTP://127.0.0.1:1", tmp_path / "ca.pem")


def test_a_proxy_that_refuses_is_called_that_without_its_password(
    tmp_path: Path, authorities: list[KeyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(authorities[0].certificate)
    with running_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        with pytest.raises(CommandFailed, match=r"the proxy refuses: .*407 .*: check HTTPS_PROXY") as caught:
            update("https://api.example", file)
    assert "hunter2" not in str(caught.value)
