"""Against a TLS server with certificates of a CA of its own."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.client.proxies import PASSWORD, USER, running_proxy

from hatchway.doctor.addresses import check_api, check_covered, check_gateway, check_name
from hatchway.doctor.findings import Status
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.pki.certificates import KeyPair

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Peer:
    """Answers every request with one answer, under a certificate for localhost."""

    port: int
    ca_certificate: Path


Start = Callable[[str], Peer]


@contextmanager
def answering(
    directory: Path,
    ca: KeyPair,
    body: str,
    names: Sequence[str] = ("localhost", "127.0.0.1"),
    clock_is_off_by: float = 0.0,
) -> Iterator[Peer]:
    pair = issue_server_certificate(ca, names, NOW)
    (directory / "server.pem").write_bytes(pair.certificate + pair.key)
    (directory / "ca.pem").write_bytes(ca.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            date = formatdate(time.time() + clock_is_off_by, usegmt=True)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nDate: {date}\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Peer(server.sockets[0].getsockname()[1], directory / "ca.pem")
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def ca() -> KeyPair:
    return create_ca("Hatchway CA of localhost", ["localhost"], NOW)


@pytest.fixture
def api(tmp_path: Path, ca: KeyPair) -> Iterator[Peer]:
    with answering(tmp_path, ca, '{"gateway_port": 4443}') as peer:
        yield peer


@pytest.fixture
def gateway(tmp_path: Path, ca: KeyPair) -> Iterator[Peer]:
    with answering(tmp_path, ca, "Only /openTunnel is served here.") as peer:
        yield peer


def test_an_api_that_is_ready_tells_where_the_gateways_are(api: Peer) -> None:
    seen = check_api("localhost", api.port, api.ca_certificate, NOW)
    assert [finding.status for finding in seen.findings] == [Status.OK] * 3
    assert seen.gateway_port == 4443


def test_a_certificate_that_ends_soon_is_warned_of(api: Peer) -> None:
    seen = check_api("localhost", api.port, api.ca_certificate, NOW + timedelta(days=390))
    (certificate,) = [one for one in seen.findings if one.check == "certificate of localhost"]
    assert certificate.status is Status.WARNING
    assert certificate.seen.startswith("it expires in 5 days")


def test_an_api_whose_ca_is_not_trusted_is_an_error_that_says_so(api: Peer) -> None:
    seen = check_api("localhost", api.port, None, NOW)
    assert [finding.status for finding in seen.findings] == [Status.ERROR]
    assert "its certificate is not accepted" in seen.findings[0].seen
    assert seen.gateway_port is None


def test_a_port_where_nothing_listens_is_an_error(api: Peer, tmp_path: Path) -> None:
    seen = check_api("127.0.0.1", 1, api.ca_certificate, NOW)
    assert [finding.seen for finding in seen.findings] == ["https://127.0.0.1:1: Connection refused"]
    missing = check_api("127.0.0.1", api.port, tmp_path / "none.pem", NOW)
    assert missing.findings[0].advice == "give a CA certificate that can be read"


def test_a_gateway_at_another_port_is_warned_of_and_so_is_a_system_that_does_not_trust_it(
    gateway: Peer,
) -> None:
    found = {one.check: one for one in check_gateway("localhost", gateway.port, gateway.ca_certificate, NOW)}
    assert found["gateway localhost"].status is Status.WARNING
    assert "the AWS CLI connects only to port 443" in found["gateway localhost"].seen
    assert found["system trust"].status is Status.WARNING


def test_a_gateway_whose_clock_is_an_hour_off_is_an_error(tmp_path: Path, ca: KeyPair) -> None:
    with answering(tmp_path, ca, '{"Message": "/openTunnel"}', clock_is_off_by=-3600) as late:
        found = list(check_gateway("localhost", late.port, late.ca_certificate, NOW))
    (clock,) = [finding for finding in found if finding.check == "clock"]
    assert clock.status is Status.ERROR
    assert "the clocks of this machine and the gateway localhost differ by 3" in clock.seen


def test_a_ca_file_that_is_none_is_not_blamed_on_who_listens(api: Peer, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    (finding,) = check_api("127.0.0.1", api.port, tmp_path / "none.pem", NOW).findings
    assert "none.pem contains no PEM certificate" in finding.seen
    assert finding.advice == "give a CA certificate that can be read"


def test_what_is_no_gateway_is_told_apart(api: Peer) -> None:
    (finding,) = check_gateway("localhost", api.port, api.ca_certificate, NOW)
    assert finding.status is Status.ERROR
    assert "is not a Hatchway gateway" in finding.seen


def test_a_name_that_the_certificate_lacks_is_an_error_with_the_way_to_have_it(api: Peer) -> None:
    found = list(check_covered(["localhost", "10.0.9.9"], "127.0.0.1", api.port, api.ca_certificate))
    assert [finding.status for finding in found] == [Status.OK, Status.ERROR]
    assert "--api-name 10.0.9.9" in found[1].advice


def test_names_are_looked_up() -> None:
    assert [finding.status for finding in check_name("localhost")] == [Status.WARNING]
    assert [finding.status for finding in check_name("nowhere.invalid")] == [Status.ERROR]
    (unknown,) = check_gateway("nowhere.invalid", 443, None, NOW)
    assert unknown.status is Status.UNKNOWN


HIDDEN = "gateway.hidden.test"
"""Which the proxy alone finds."""


def test_by_a_proxy_an_api_and_a_gateway_are_looked_at_that_only_the_proxy_finds(tmp_path: Path) -> None:
    ca = create_ca(f"Hatchway CA of {HIDDEN}", [HIDDEN], NOW)
    body = '{"gateway_port": 4443, "said": "Only /openTunnel is served here."}'
    with answering(tmp_path, ca, body, [HIDDEN]) as peer, running_proxy() as proxy:
        url = f"http://{quote(USER)}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}"
        seen = check_api(HIDDEN, peer.port, peer.ca_certificate, NOW, url)
        assert [finding.status for finding in seen.findings] == [Status.OK] * 3
        found = {
            one.check: one.status for one in check_gateway(HIDDEN, peer.port, peer.ca_certificate, NOW, url)
        }
    assert found[f"certificate of {HIDDEN}"] is Status.OK
    assert found["system trust"] is Status.WARNING
    assert set(proxy.asked) == {HIDDEN}


def test_a_proxy_that_is_not_there_is_what_the_api_is_not_reached_for() -> None:
    seen = check_api("localhost", 8443, None, NOW, "http://127.0.0.1:1")
    assert [finding.seen for finding in seen.findings] == [
        "https://localhost:8443: the proxy 127.0.0.1:1 is not reached (Connection refused):"
        " check HTTPS_PROXY, ALL_PROXY and NO_PROXY"
    ]
    assert seen.findings[0].advice == "docs/connecting.md explains what each of these means"
