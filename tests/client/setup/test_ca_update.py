"""A profile's CAs are brought up to date by an API that the former ones vouch for, and by nobody else."""

import http.server
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.client.proxies import running_proxy

from hatchway.client.setup.ca_update import PATH, update
from hatchway.errors import CommandFailed
from hatchway.pki import KeyPair, create_ca, fingerprint, issue_server_certificate

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
