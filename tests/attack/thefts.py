"""Whoever has the store, the audit trail, or a gateway's process."""

from __future__ import annotations

import base64
import json
import os
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.attack.honest import Tunnel, echo_host
from tests.attack.site import OPEN, REGION, Site, allow
from tests.attack.trial import Family, Outcome, Trial

from hatchway.sigv4.errors import SignatureError
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_query_signature
from hatchway.sigv4.verification import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY_BYTES: Final = 32
_SERVICE: Final = "ec2-instance-connect"
_HIDDEN: Final = ("master.key", "ca.key")


def stolen_store(site: Site) -> Outcome:
    """Every piece of every value in the database, tried as the key of everybody's requests."""
    for user in ("robbed", "describes-only"):
        site.user(user, OPEN if user == "robbed" else allow("ec2:Describe*"))
    with echo_host() as port:
        tunnel = Tunnel(site, site.target("robbed", port))
        tunnel.echo()
        tunnel.close()
    copy = site.directory / "stolen.db"
    source = sqlite3.connect(site.data / "hatchway.db")
    target = sqlite3.connect(copy)
    with source, target:
        source.backup(target)
    source.close()
    target.close()
    raw = copy.read_bytes() + b"".join(path.read_bytes() for path in site.data.glob("hatchway.db*"))
    secrets = [key.secret for key in site.keys.values()]
    in_clear = sum(1 for secret in secrets if any(form in raw for form in _forms(secret)))
    requests = {user: _request(site, user) for user in site.keys}
    signs: set[str] = set()
    tried = 0
    for candidate in set(_candidates(copy)):
        tried += 1
        signs |= {user for user, request in requests.items() if _verifies(request, candidate)}
    return Outcome(
        not signs and not in_clear,
        f"{tried} pieces of {_KEY_BYTES} bytes tried for {len(requests)} keys: {len(signs)} work;"
        f" {in_clear} of {len(secrets)} secrets in plaintext",
    )


def _forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")
    yield secret.encode().hex().encode()


def _request(site: Site, user: str) -> HttpRequest:
    path, _, query = site.target(user, 22).partition("?")
    return HttpRequest("GET", path, query, (("host", "gateway.example"),))


def _verifies(request: HttpRequest, key: bytes) -> bool:
    try:
        verify(
            request,
            read_query_signature(request),
            key,
            now=datetime.now(UTC),
            region=REGION,
            services={_SERVICE},
        )
    except SignatureError:
        return False
    return True


def _candidates(path: Path) -> Iterator[bytes]:
    """Whatever in the database could be a signing key: at each place of each value, also decoded."""
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            for value in row:
                for octets in _octets(value):
                    for start in range(max(0, len(octets) - _KEY_BYTES + 1)):
                        yield octets[start : start + _KEY_BYTES]
    connection.close()


def _octets(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        for word in re.findall(r"[A-Za-z0-9+/_=-]{40,200}", value):
            for decode in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
                try:
                    yield decode(word)
                except ValueError:
                    continue


def audit_trail(site: Site) -> Outcome:
    """Secrets, signatures and tokens in what is logged and audited."""
    site.user("logged", OPEN)
    target = site.target("logged", 22)
    signature = target.rpartition("=")[2]
    with echo_host() as port:
        mine = site.target("logged", port)
        tunnel = Tunnel(site, mine)
        tunnel.echo()
        tunnel.close()
    texts = (site.data / "audit.jsonl").read_text() + site.log()
    sought = [key.secret for key in site.keys.values()] + [signature, mine.rpartition("=")[2]]
    found = [text for text in sought if text in texts]
    lines = [json.loads(line) for line in (site.data / "audit.jsonl").read_text().split("\n") if line]
    return Outcome(
        not found and bool(lines),
        f"{len(sought)} secrets and signatures searched for in {len(lines)} events and the log:"
        f" {len(found)} found",
    )


def gateway_process(site: Site) -> Outcome:
    """What a gateway worker's process holds that is not its business."""
    pid = site.processes()["gateway"]
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    names = [entry.partition("=")[0] for entry in environment.split("\0")]
    open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    bad = [name for name in names if name == "HATCHWAY_MASTER_KEY"]
    bad += [name for name in _HIDDEN if any(path.endswith(f"/{name}") for path in open_files)]
    return Outcome(
        not bad,
        f"HATCHWAY_MASTER_KEY in its environment, master.key or ca.key open: {', '.join(bad) or 'none'}",
    )


def file_modes(site: Site) -> Outcome:
    """What of the data directory others on the machine may read."""
    loose = [
        path.name
        for path in [site.data, *site.data.iterdir()]
        if path.stat().st_mode & 0o077 and path.name not in ("ca.pem", "api.json")
    ]
    inside = site.data.stat().st_mode & 0o077
    return Outcome(
        not inside,
        f"the directory is {site.data.stat().st_mode & 0o777:04o};"
        f" readable within it: {', '.join(loose) or 'nothing'}",
    )


FAMILY: Final = Family(
    "thefts",
    "A thief who has the store, the log or a gateway's process",
    [
        Trial(
            "stolen_store",
            "copies the SQLite database of a running server, and tries each piece of it as a signing key",
            "none works, not even for root; no secret in plaintext",
            stolen_store,
        ),
        Trial(
            "audit_trail", "reads audit.jsonl and the server's log", "no secret, no signature", audit_trail
        ),
        Trial(
            "gateway_process",
            "reads the environment and the open files of a gateway worker",
            "neither the master key nor the CA's",
            gateway_process,
        ),
        Trial(
            "file_modes",
            "is another user on the server's machine",
            "the data directory is closed to others",
            file_modes,
        ),
    ],
    variables={"HATCHWAY_MASTER_KEY": base64.b64encode(os.urandom(_KEY_BYTES)).decode()},
)
