"""Whatever comes over the wire is answered, in bounds, and leaks nothing."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import pytest
from psycopg.errors import UndefinedTable
from sqlalchemy.exc import OperationalError
from tests.control.harness import World

from hatchway.audit.group_commit import Closed
from hatchway.control import operations
from hatchway.control.http import protocol
from hatchway.control.operations import Operation
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.domain.tunnel import GatewayWorker
from hatchway.protocol import LARGEST_REQUEST
from hatchway.store import StoreBusy

TARGET = {"X-Amz-Target": "AWSEC2InstanceConnectService.SendSSHPublicKey"}
SERIAL = {"X-Amz-Target": "AWSEC2InstanceConnectService.SendSerialConsoleSSHPublicKey"}
JSON = {"Content-Type": "application/x-amz-json-1.1", **TARGET}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"


@contextmanager
def connected(world: World) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=world.shared_server.ca)
    with (
        socket.create_connection(("127.0.0.1", world.shared_server.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
    ):
        yield wire


@pytest.mark.parametrize(
    ("service", "method", "target", "headers", "body", "status", "code"),
    [
        ("sts", "POST", "/", FORM, b"", 400, "MissingAction"),
        ("sts", "POST", "/", FORM, b"Action=NoSuchThing&Version=2011-06-15", 400, "InvalidAction"),
        ("sts", "POST", "/", FORM, b"Action=GetCallerIdentity&Version=1", 400, "InvalidAction"),
        ("sts", "POST", "/", FORM, IDENTITY + b"&Extra=1", 400, "ValidationError"),
        ("sts", "POST", "/", FORM, b"Action=\xff&Version=2011-06-15", 400, "MalformedQueryString"),
        ("sts", "POST", "/", {"Content-Type": "application/json"}, b"{}", 415, "MalformedHttpRequest"),
        ("sts", "POST", "/", FORM, IDENTITY + b"&" + b"&".join([b"a=1"] * 6000), 400, "MalformedQueryString"),
        ("ec2", "POST", "/", FORM, b"Action=RunInstances&Version=2016-11-15", 400, "InvalidAction"),
        ("ec2", "POST", "/", FORM, b"Action=RunInstances&Version=2016-11-15&A.=", 400, "InvalidAction"),
        (
            "iam",
            "POST",
            "/",
            FORM,
            b"Action=CreateLoginProfile&Version=2010-05-08&What=1",
            400,
            "InvalidAction",
        ),
        ("ec2-instance-connect", "POST", "/", SERIAL, b"{", 400, "UnknownOperationException"),
        ("ec2", "POST", "/", FORM, b"Action=DescribeVolumes&Version=2016-11-15", 400, "InvalidAction"),
        ("ec2", "GET", "/?Action=DescribeVpcs&Version=2016-11-15", {}, b"", 200, "DescribeVpcsResponse"),
        ("ec2-instance-connect", "POST", "/", JSON, b"{", 400, "SerializationException"),
        ("ec2-instance-connect", "POST", "/", JSON, b"[" * 60_000, 400, "SerializationException"),
        ("ec2-instance-connect", "POST", "/", JSON, b"[" * 100_000, 413, "RequestEntityTooLarge"),
        ("ec2-instance-connect", "POST", "/", JSON, b"[]", 400, "SerializationException"),
        ("ec2-instance-connect", "POST", "/", JSON, b"{}", 400, "InvalidArgsException"),
        ("ec2-instance-connect", "POST", "/", TARGET, b"{}", 415, "UnsupportedMediaType"),
        ("ec2-instance-connect", "POST", "/", FORM, b"{}", 400, "UnknownOperationException"),
        ("ec2-instance-connect", "GET", "/", JSON, b"", 405, "MalformedHttpRequest"),
    ],
)
def test_a_signed_request_that_is_no_call_gets_its_service_s_error(  # noqa: PLR0917 - a table's columns
    world: World,
    service: str,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
    code: str,
) -> None:
    answer = world.send(method, target, headers, body, service=service)
    assert (answer.status, code in answer.text) == (status, True), answer.text
    # It is somebody who asked: it is recorded whatever it was.
    (event,) = world.events()
    assert event["userIdentity"]["type"] == "Root"
    assert event["requestID"] == answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_and_paths_are_not_there(world: World, method: str) -> None:
    assert world.send(method, service="sts").status == 405
    assert world.send("GET", "/healthz/").status == 404
    answer = world.send("POST", "/somewhere", body=IDENTITY, service="sts")
    assert answer.status == 404
    assert answer.headers["x-amzn-requestid"]
    assert world.events() == []


@pytest.mark.parametrize(("chunked", "status"), [(False, b"413"), (True, b"411")])
def test_a_body_that_is_too_large_is_not_read_to_its_end(world: World, chunked: bool, status: bytes) -> None:
    with connected(world) as wire:
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (64 * LARGEST_REQUEST)
        wire.sendall(b"POST / HTTP/1.1\r\nHost: h\r\n" + length + b"\r\n\r\n")
        answer = b""
        with suppress(OSError):
            for _ in range(64):
                piece = bytes(LARGEST_REQUEST // 4)
                wire.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        with suppress(OSError):
            while piece := wire.recv(65536):
                answer += piece
    assert answer == b"" or answer.startswith(b"HTTP/1.1 " + status)
    assert world.send(body=bytes(LARGEST_REQUEST + 1)).status == 413
    # The server is none the worse.
    assert world.send(body=IDENTITY, service="sts").status == 200


def test_whoever_writes_the_whole_of_a_body_that_is_refused_reads_why(world: World) -> None:
    size = LARGEST_REQUEST + 200_000
    with connected(world) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 50_000):
            wire.sendall(bytes(50_000))
            time.sleep(0.02)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


@pytest.mark.parametrize("twice", ["Authorization", "X-Amz-Date", "Host"])
def test_a_header_that_decides_may_not_be_there_twice(world: World, twice: str) -> None:
    def doubled(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [*headers, *((name, value) for name, value in headers if name == twice)]

    assert world.send(body=IDENTITY, service="sts", alter=doubled).status in {400, 403}


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(world: World, raw: bytes) -> None:
    with connected(world) as wire:
        try:
            wire.sendall(raw)
            answer = wire.recv(65536)
        except OSError:
            answer = b""
    assert answer == b"" or answer.split(b" ")[1] in {b"400", b"403", b"431"}
    assert world.send(body=IDENTITY, service="sts").status == 200


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_client_that_never_ends_its_head_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.2)
    with connected(world) as wire:
        wire.sendall(before)
        answer = b""
        while before and not answer.endswith(b"ok\n"):
            answer += wire.recv(65536)
        wire.sendall(b"GET / HT")
        try:
            end = wire.recv(65536)
        except ConnectionError:
            end = b""
    assert end == b""


def test_an_unforeseen_error_tells_its_request_id_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_call: operations.Call) -> operations.Result:
        raise RuntimeError("the secret is 42")

    broken_operation = Operation("sts", "GetCallerIdentity", reads_only=True, run=broken)
    monkeypatch.setitem(operations._operations, ("sts", "GetCallerIdentity"), broken_operation)
    answer = world.send(body=IDENTITY, service="sts")
    assert answer.status == 500
    assert "<Code>InternalFailure</Code>" in answer.text
    assert "42" not in answer.text.replace(answer.headers["x-amzn-requestid"], "")
    (event,) = world.events()
    assert event["errorCode"] == "InternalFailure"
    assert "secret" not in str(event)


def test_a_write_that_fails_half_way_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(call: operations.Call) -> operations.Result:
        call.tx.users.delete("alice")
        return {"NoSuchMember": 1}

    world.user("alice")
    operation = Operation("iam", "DeleteUser", reads_only=False, run=half)
    monkeypatch.setitem(operations._operations, ("iam", "DeleteUser"), operation)
    answer = world.send(body=b"Action=DeleteUser&Version=2010-05-08&UserName=alice", service="iam")
    assert answer.status == 500
    with world.store.read() as tx:
        assert tx.users.get("alice") is not None
    assert [event.get("errorCode") for event in world.events()] == ["InternalFailure"]


def test_a_call_that_cannot_be_recorded_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_piece: object) -> None:
        raise Closed("the log is closed")

    monkeypatch.setattr(world.plane.log, "submit", refuse)
    answer = world.send(body=IDENTITY, service="sts")
    assert answer.status == 500
    assert "123456789012" not in answer.text


def test_a_store_that_is_locked_is_told_apart_from_a_fault_of_the_program(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store._writer, "_busy_seconds", 0.1)
    iam = world.client("iam")
    with world.store.record(), pytest.raises(iam.exceptions.ClientError) as caught:
        iam.create_user(UserName="bob")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert "store" in caught.value.response["Error"]["Message"]
    iam.create_user(UserName="bob")
    assert len(world.events("CreateUser")) == 1


def test_the_process_says_how_it_is_and_where_its_gateway_listens(world: World) -> None:
    assert world.send("GET", "/healthz").text == "ok\n"
    assert world.send("GET", "/readyz").text == "ok\n"
    assert world.send("GET", "/.well-known/hatchway").text == '{"gateway_port":443,"remember_seconds":0}'
    world.change(
        lambda tx: tx.gateway_workers.put(worker("dead", 8444, world.clock() - timedelta(seconds=1)))
    )
    assert world.send("GET", "/.well-known/hatchway").text == '{"gateway_port":443,"remember_seconds":0}'
    world.change(
        lambda tx: tx.gateway_workers.put(worker("live", 8445, world.clock() + timedelta(minutes=9)))
    )
    assert world.send("GET", "/.well-known/hatchway").text == '{"gateway_port":8445,"remember_seconds":60}'


def test_a_process_without_its_store_is_up_but_not_ready(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> int:
        raise OSError("/var/lib/hatchway is gone")

    monkeypatch.setattr(world.store, "answers", gone)
    assert world.send("GET", "/healthz").status == 200
    answer = world.send("GET", "/readyz")
    assert answer.status == 503
    assert "/var/lib" not in answer.text


@pytest.mark.parametrize("path", ["/.well-known/hatchway", "/host/v1/authorized-keys?user=root"])
def test_without_the_store_hosts_and_clients_are_told_to_try_again_and_faults_are_told_apart(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    token = HOST_TOKEN.write(BearerToken("i-0000000000000000f", bytes(SECRET_SIZE)))
    headers = {"Authorization": f"Bearer {token}"}

    def fail(problem: Exception) -> int:
        def read() -> None:
            raise problem

        with monkeypatch.context() as patched:
            patched.setattr(world.store, "read", read)
            answer = world.send("GET", path, headers)
        assert "secret" not in answer.text
        return answer.status

    gone = OperationalError("SELECT secret", {}, UndefinedTable("secret"))
    assert [fail(gone), fail(StoreBusy("secret")), fail(RuntimeError("secret"))] == [503, 503, 500]


def worker(name: str, port: int, lease_until: datetime) -> GatewayWorker:
    return GatewayWorker(
        id=name, host="127.0.0.1", port=port, started_at=lease_until, lease_until=lease_until
    )
