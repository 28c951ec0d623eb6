"""Names, ports and certificates, as a client sees them."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from hatchway.client.connection.proxy import ProxyFailed
from hatchway.doctor.findings import Finding, error, ok, unknown, warning
from hatchway.doctor.machine import check_skew
from hatchway.domain.counting import counted
from hatchway.privileges import as_owner_of

TIMEOUT: Final = 5.0
"""Seconds for a name, and for a server's answer."""
HTTPS_PORT: Final = 443
RENEW_BEFORE: Final = timedelta(days=21)
"""A certificate that ends within that should have been renewed: the private CA's are 30 days before."""
_LONGEST_ANSWER: Final = 65_536
_DISCOVERY: Final = "/.well-known/hatchway"
_GATEWAY_SAYS: Final = "/openTunnel"
"""What a gateway says of any other path, and nothing else does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of an HTTPS server that was trusted. `date` is its clock's, None where it tells none; `until` is the
    end of its certificate."""

    status: int
    body: bytes
    date: datetime | None
    until: datetime


class NoAuthority(OSError):
    """The file of the CA that is to be trusted is none. The message says which."""


def trusting(ca_certificate: Path | None) -> ssl.SSLContext:
    """A client's, who trusts the CA in that file; what the system trusts without one.

    Raises:
        NoAuthority: the file cannot be read, or holds none.
    """
    if ca_certificate is None:
        return ssl.create_default_context()
    try:
        with as_owner_of(ca_certificate.absolute().parent):
            return ssl.create_default_context(cafile=str(ca_certificate))
    except ssl.SSLError:
        raise NoAuthority(f"{ca_certificate} contains no PEM certificate") from None
    except OSError as problem:
        raise NoAuthority(f"{ca_certificate}: {problem.strerror}") from None


def get(
    host: str,
    port: int,
    path: str,
    context: ssl.SSLContext,
    *,
    address: str | None = None,
    proxy: str | None = None,
) -> Answer:
    """Asks a server by its name, at `address` where that is given, by the proxy of a URL where that is.

    Raises:
        ProxyFailed: there is no connection by the proxy.
        OSError: it cannot be reached, or not trusted (`ssl.SSLError`).
        http.client.HTTPException: it speaks no HTTP.
    """
    with (
        _dialled(address or host, port, proxy) as plain,
        context.wrap_socket(plain, server_hostname=host) as channel,
        closing(http.client.HTTPSConnection(host, port, timeout=TIMEOUT)) as connection,
    ):
        connection.sock = channel
        connection.request("GET", path)
        answer = connection.getresponse()
        until = str(channel.getpeercert().get("notAfter"))  # type: ignore[union-attr]  # verified: it is there
        date = answer.headers.get("Date")
        return Answer(
            answer.status,
            answer.read(_LONGEST_ANSWER),
            None if date is None else parsedate_to_datetime(date),
            datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC),
        )


def _dialled(host: str, port: int, proxy: str | None) -> socket.socket:
    if proxy is None:
        return socket.create_connection((host, port), TIMEOUT)
    from hatchway.client.connection.proxied import connect_through

    return connect_through(proxy, host, port, TIMEOUT)


def resolve(name: str) -> list[str]:
    """The addresses of a name; none where it is not known here."""
    pool = ThreadPoolExecutor(1)
    try:
        answers = pool.submit(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM).result(TIMEOUT)
    except (OSError, UnicodeError, TookTooLong):
        return []
    finally:
        pool.shutdown(wait=False)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def check_name(name: str) -> Iterator[Finding]:
    """A gateway's name: clients have to find it."""
    addresses = resolve(name)
    if not addresses:
        yield error(
            f"name {name}",
            "it does not resolve here: clients cannot find the gateway",
            "add it to the DNS, with the gateway's address (or to /etc/hosts on every client)",
        )
    elif all(ip_address(each.partition("%")[0]).is_loopback for each in addresses):
        yield warning(
            f"name {name}",
            f"it resolves to {', '.join(addresses)}: no other machine can reach the gateway by this name",
            "for clients on other machines, set gateway_dns_name in the fleet file (docs/certificates.md)",
        )
    else:
        yield ok(f"name {name}", f"it resolves to {', '.join(addresses[:4])}")


@dataclass(frozen=True, slots=True)
class ApiSeen:
    """`gateway_port` is what the API's discovery document says; None where the API could not be asked."""

    findings: tuple[Finding, ...]
    gateway_port: int | None


def check_api(
    host: str, port: int, ca_certificate: Path | None, now: datetime, proxy: str | None = None
) -> ApiSeen:
    """The API as a client sees it who trusts that CA, and who has to go by that proxy."""
    what = "API"
    where = f"https://{_url_host(host)}:{port}"
    found: list[Finding] = []
    try:
        context = trusting(ca_certificate)
        ready = get(host, port, "/readyz", context, proxy=proxy)
        discovery = get(host, port, _DISCOVERY, context, proxy=proxy)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return ApiSeen((error(what, f"{where}: {_why(problem)}", _advice(problem, what, host)),), None)
    if ready.status != http.HTTPStatus.OK:
        found.append(
            error(what, f"{where} answers, but is not ready", "look into its log, which names the reason")
        )
    else:
        found.append(ok(what, f"{where} is ready"))
    found.append(_certificate(f"certificate of {host}", ready.until, now))
    if ready.date is not None:
        found.append(check_skew("the API", ready.date, datetime.now(UTC)))
    return ApiSeen(tuple(found), _gateway_port(discovery))


def check_gateway(
    name: str, port: int | None, ca_certificate: Path | None, now: datetime, proxy: str | None = None
) -> Iterator[Finding]:
    """A gateway as `hatchway` sees it, which trusts the CA, and as the AWS CLI, which trusts the system's;
    by that proxy, which looks the name up itself, where they have to go by one."""
    what = f"gateway {name}"
    if proxy is None and not resolve(name):
        yield unknown(what, "not checked: its name does not resolve here")
        return
    wanted = HTTPS_PORT if port is None else port
    try:
        answer = get(name, wanted, "/", trusting(ca_certificate), proxy=proxy)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        yield error(what, f"port {wanted}: {_why(problem)}", _advice(problem, "gateway", name))
        return
    if _GATEWAY_SAYS.encode() not in answer.body:
        yield error(what, f"what listens at port {wanted} is not a Hatchway gateway", "find out what it is")
        return
    yield ok(what, f"it answers at port {wanted}")
    yield _certificate(f"certificate of {name}", answer.until, now)
    if answer.date is not None:
        yield check_skew(f"the gateway {name}", answer.date, datetime.now(UTC))
    if wanted != HTTPS_PORT:
        yield warning(
            what,
            f"it listens at port {wanted}, but the AWS CLI connects only to port 443",
            "start it with --gateway ADDRESS:443, or have a load balancer forward port 443 to it; 'hatchway'"
            " itself works with any port",
        )
    try:
        get(name, wanted, "/", trusting(None), proxy=proxy)
    except ssl.SSLError:
        yield warning(
            "system trust",
            f"this machine does not trust the certificate of {name}: the AWS CLI's tunnels would hang here",
            "if the AWS CLI is used here: hatchway trust install --ca-certificate FILE (docs/connecting.md)",
        )
    except (OSError, http.client.HTTPException, ValueError) as problem:
        yield unknown("system trust", f"{name}: {_why(problem)}")
    else:
        yield ok("system trust", f"this machine trusts the certificate of {name}")


def check_covered(
    names: Sequence[str], host: str, port: int, ca_certificate: Path | None
) -> Iterator[Finding]:
    """That what listens at `host` shows a certificate for each of the names too, by which clients call it."""
    for name in names:
        try:
            get(name, port, "/", trusting(ca_certificate), address=host)
        except ssl.SSLCertVerificationError as problem:
            yield error(
                f"certificate for {name}", f"{host}:{port}: {_why(problem)}", _advice(problem, "server", name)
            )
        except (OSError, http.client.HTTPException, ValueError):
            # Told where it is looked at by its own name.
            return
        else:
            yield ok(f"certificate for {name}", f"the server at {host}:{port} has one")


def _certificate(check: str, until: datetime, now: datetime) -> Finding:
    days = (until - now).days
    if until - now < RENEW_BEFORE:
        return warning(
            check,
            f"it expires in {counted(days, 'day')}, on {until:%Y-%m-%d}",
            "replace it and send the server a SIGHUP; if the private CA issues it, the server's log says why"
            " it was not renewed",
        )
    return ok(check, f"it is valid for another {counted(days, 'day')}")


def _gateway_port(answer: Answer) -> int | None:
    try:
        port = json.loads(answer.body)["gateway_port"]
    except (ValueError, LookupError, TypeError):
        return None
    return port if isinstance(port, int) and 1 <= port <= 65_535 else None


def _why(problem: Exception) -> str:
    """In words for people: what Python and OpenSSL say, without the places in their own source."""
    if isinstance(problem, NoAuthority):
        return str(problem)
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {problem.verify_message}".rstrip(".")
    if isinstance(problem, ssl.SSLError):
        return "what listens there does not speak TLS"
    if isinstance(problem, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} seconds"
    if isinstance(problem, socket.gaierror):
        return "this name does not resolve here"
    if isinstance(problem, ProxyFailed):
        return str(problem)
    if isinstance(problem, OSError):
        return problem.strerror or type(problem).__name__
    return "what listens there does not speak HTTP"


def _advice(problem: Exception, plane: str, name: str) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        if problem.verify_code in _MISMATCHES:
            return (
                f"get {name} into the certificate: with --api-name {name} if the private CA issues the API's,"
                " otherwise with a certificate of your own for this name"
            )
        if problem.verify_code in _OUT_OF_TIME:
            return (
                "check this machine's clock and the server's; if the private CA issues it, the server renews"
                " it when it starts, or its log says why not; otherwise replace it and reload the server"
                " (SIGHUP)"
            )
        if problem.verify_code == _SELF_SIGNED:
            return (
                "it is self-signed: have this machine trust it (hatchway trust install --ca-certificate"
                " FILE), or have a CA issue another"
            )
        return "give the CA that issued it, put the whole chain into its file, or renew it"
    if isinstance(problem, NoAuthority):
        return "give a CA certificate that can be read"
    if isinstance(problem, ProxyFailed):
        return "docs/connecting.md explains what each of these means"
    return f"start the {plane}, or find what is in the way: a firewall, another address, another port"


_OUT_OF_TIME: Final = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""

_SELF_SIGNED: Final = 18
"""X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT of OpenSSL."""

_MISMATCHES: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
