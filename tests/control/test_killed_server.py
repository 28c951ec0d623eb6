"""A server that is killed amid writes has done each of them wholly or not, and lost none that it told of."""

import http.client
import json
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from sqlalchemy import select, union
from tests.control.harness import (
    REGION,
    Credentials,
    SharedServer,
    furnish,
    root_key,
)
from tests.control.killed_server import MASTER_KEY, serve
from tests.forks import FORKS
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.keys.vault import Vault
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import sign_headers
from hatchway.store import Store
from hatchway.store.tables import audit_lookups, audit_unindexed

CLIENTS = 4
KILLED_AT = (2, 7, 18, 120)
"""Steps of all writes of a server, each a statement that changes something, or a commit. A write has six."""


class Client(threading.Thread):
    """Makes users and keys for them until the server is gone, and notes what it is told."""

    def __init__(self, number: int, port: int, key: Credentials) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.key = key
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=ssl._create_unverified_context(), timeout=30
        )
        self.users = set[str]()
        self.keys = set[str]()

    def run(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            for turn in range(1000):
                name = f"made-{self.number}-{turn}"
                self.call(
                    "CreateUser", {"UserName": name, "Tags.member.1.Key": "n", "Tags.member.1.Value": "1"}
                )
                self.users.add(name)
                made = self.call("CreateAccessKey", {"UserName": name})
                self.keys |= {each.text or "" for each in made.iter() if each.tag.endswith("}AccessKeyId")}

    def call(self, action: str, parameters: dict[str, str]) -> ElementTree.Element:
        body = urlencode({"Action": action, "Version": "2010-05-08", **parameters}).encode()
        headers = (
            ("Host", f"127.0.0.1:{self.connection.port}"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        )
        signed = sign_headers(
            HttpRequest("POST", "/", "", headers, body),
            access_key_id=self.key.access_key_id,
            secret_access_key=self.key.secret,
            region=REGION,
            service="iam",
            now=datetime.now(UTC),
        )
        self.connection.request("POST", "/", body, dict((*headers, *signed)))
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return ElementTree.fromstring(content)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hatchway.db'}"
        return
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        yield server.new_database()


def test_a_server_that_is_killed_amid_writes_has_done_each_wholly_or_not_and_loses_none_it_told_of(
    url: str, shared_server: SharedServer
) -> None:
    store = Store.open(url)
    store.migrate()
    with store.write() as tx:
        furnish(tx, datetime.now(UTC))
        root = root_key(tx, Vault(MASTER_KEY))
    told_users, told_keys = set[str](), set[str]()
    for killed, steps in enumerate(KILLED_AT):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = FORKS.Process(target=serve, args=(url, listener, shared_server.certificate, steps))
            process.start()
            port = listener.getsockname()[1]
        clients = [Client(killed * CLIENTS + number, port, root) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        process.join(60)
        process.kill()
        assert process.exitcode == -signal.SIGKILL, "it did not come to its step"
        for client in clients:
            client.join(30)
            told_users |= client.users
            told_keys |= client.keys
        with store.read() as tx:
            users = {user.name for user in tx.users.find() if user.name.startswith("made-")}
            keys = {key.id for key in tx.access_keys.find() if key.user_name in users}
            secrets = {secret.access_key_id for secret in tx.sealed_secrets.find()}
            # Of each that is there, one event tells, and of none that is not.
            events = [json.loads(record.body) for record in tx.audit_records.find()]
            found = {row[0] for row in tx.audit_records.rows(_FOUND)}
        assert secrets == keys | {root.access_key_id}
        assert told_users <= users and len(users - told_users) <= CLIENTS * (killed + 1)
        assert told_keys <= keys
        made = [made["responseElements"] for made in events]
        assert sorted(each["user"]["userName"] for each in made if "user" in each) == sorted(users)
        assert sorted(each["accessKey"]["accessKeyId"] for each in made if "accessKey" in each) == sorted(
            keys
        )
        assert found == {each["eventID"] for each in events}
    assert told_users and told_keys
    store.close()


_FOUND = select(union(select(audit_lookups.c.event_id), select(audit_unindexed.c.event_id)).subquery())
