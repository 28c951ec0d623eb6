"""What strangers do to the API's port costs them, not those who are served there."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.control import hostile_clients
from tests.control.harness import INSTANCE, SharedServer, World
from tests.control.hostile_clients import Bound, Outcome
from tests.control.test_ssh_keys import FINGERPRINT, enrolled
from tests.e2e.waiting import wait_until

from hatchway.control import application, dispatcher
from hatchway.control.application import create_application
from hatchway.control.dispatcher import Dispatcher
from hatchway.control.http import bodies, protocol, server
from hatchway.control.http.bodies import Bodies
from hatchway.control.http.keep_alive import KeptAliveConnections
from hatchway.control.request_state import ApiRequest
from hatchway.control.threads import ThreadCounts
from hatchway.store.processes import server_time
from hatchway.transport.asyncio_tls import RECORDS
from hatchway.transport.listening import sources
from hatchway.transport.listening.sources import Sources

HOST = "127.0.0.1"
STRANGER, OTHER_STRANGER = "127.0.0.2", "127.0.0.3"
MAY_WASTE = 30
"""Connections of one source, of the server under attack here."""
IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"

Attack = Callable[..., Outcome]

HALF_OPEN = ("half_open", "half_open_after_a_byte")
HOLDING: dict[str, Attack] = {
    "half_open": hostile_clients.half_open,
    "half_open_after_a_byte": hostile_clients.half_open_after_a_byte,
    "silent_after_tls": hostile_clients.silent_after_tls,
    "trickled_heads": hostile_clients.trickled_heads,
    "trickled_bodies": hostile_clients.trickled_bodies,
    "bodies_nobody_asked_for": hostile_clients.bodies_nobody_asked_for,
    "pipelined_and_unread": partial(hostile_clients.pipelined_and_unread, request=HEALTH),
    "tiny_chunks": hostile_clients.tiny_chunks,
    "many_headers": hostile_clients.many_headers,
    "key_updates": hostile_clients.key_updates,
}


@contextmanager
def attacked(world: World, **limits: float) -> Iterator[World]:
    """The same world on a server of its own, with a stranger's limits."""
    given = {"may_waste": MAY_WASTE, "may_waste_rate": 0.0} | limits
    sources = Sources(time.monotonic, **given)  # type: ignore[arg-type]
    shared_server = SharedServer(world.shared_server.certificate, world.shared_server.ca, sources)
    shared_server.application = create_application(world.plane)
    try:
        yield replace(world, shared_server=shared_server)
    finally:
        shared_server.close()


@contextmanager
def under(attack: Callable[[], Outcome]) -> Iterator[list[Outcome]]:
    """Within it the attack goes on; after it, what came of it is in the list."""
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(attack)
        time.sleep(0.5)
        yield outcomes
        outcomes.append(going.result())


def all_is_well(world: World, token: str) -> None:
    """Whatever goes on: calls, look-ups and monitoring are answered."""
    assert world.client("sts").get_caller_identity()["Arn"]
    assert world.send("GET", "/healthz").text == "ok\n"
    assert world.send("GET", "/readyz").text == "ok\n"
    target = f"/host/v1/authorized-keys?user=root&fingerprint={FINGERPRINT}".replace("+", "%2B")
    assert world.send("GET", target, {"Authorization": f"Bearer {token}"}).status == 200


@pytest.mark.parametrize("name", HOLDING)
def test_no_source_gets_more_connections_than_its_share_and_the_others_are_served(
    world: World, name: str
) -> None:
    token = enrolled(world, INSTANCE)
    with (
        attacked(world) as there,
        under(
            lambda: HOLDING[name](HOST, there.shared_server.port, Bound(120, 4.0, left=MAY_WASTE), STRANGER)
        ) as outcomes,
    ):
        for _ in range(3):
            all_is_well(there, token)
    (outcome,) = outcomes
    # Without TLS the kernel opens each, and the server ends what is too much.
    assert outcome.opened - outcome.ended <= MAY_WASTE
    assert outcome.refused + outcome.ended >= 120 - MAY_WASTE


def test_newcomers_take_turns_whoever_came_first(world: World) -> None:
    with (
        attacked(world, all_may_waste=10, all_may_waste_rate=10.0) as there,
        under(
            lambda: hostile_clients.silent_after_tls(
                HOST, there.shared_server.port, Bound(100, 4.0), STRANGER
            )
        ),
        under(
            lambda: hostile_clients.silent_after_tls(
                HOST, there.shared_server.port, Bound(100, 3.0), OTHER_STRANGER
            )
        ),
    ):
        # This address is new too. Once known, it does not wait.
        assert there.send(body=IDENTITY, service="sts").status == 200
        assert there.send(body=IDENTITY, service="sts").status == 200


@pytest.mark.parametrize("name", [name for name in HOLDING if name != "bodies_nobody_asked_for"])
def test_every_part_of_a_request_has_its_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module, deadline in (
        (server, "SHUTDOWN_SECONDS"),
        (protocol, "HEADER_SECONDS"),
        (protocol, "WRITE_SECONDS"),
        (bodies, "GRACE"),
    ):
        monkeypatch.setattr(module, deadline, 0.3)
    # Where it is not the handshake that takes too long, ten at once have the time for it.
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.3 if name in HALF_OPEN else 30)
    with attacked(world) as there:
        outcome = HOLDING[name](HOST, there.shared_server.port, Bound(10, 60.0), STRANGER)
    # It was over long before the attacker would have had enough.
    assert (outcome.opened, outcome.ended) == (10, 10)
    assert set(outcome.statuses) <= {200, 408, 411, 431}
    assert all(b"x-amzn-requestid: " in answer for answer in outcome.answers)


def test_a_body_is_not_read_beyond_what_anybody_may_send_before_its_key_is_known(world: World) -> None:
    with attacked(world) as there:
        attack = partial(
            hostile_clients.large_bodies, HOST, there.shared_server.port, Bound(4, 20.0), STRANGER
        )
        unsigned = attack()
        unknown = attack(authorization=authorization("AKIAUNKNOWNUNKNOWN00"))
        assert set(unsigned.statuses) == {403}
        assert set(unknown.statuses) == {403}
        assert b"InvalidClientTokenId" in unknown.answers[0]
        # Who it is of is known, so it is waited for.
        known = hostile_clients.large_bodies(
            HOST,
            there.shared_server.port,
            Bound(4, 2.0),
            STRANGER,
            authorization=authorization(world.root.access_key_id),
        )
        assert not known.statuses
    assert len(world.events("Unknown")) == 8


def test_a_signature_is_checked_before_the_body_where_the_body_s_hash_is_stated(world: World) -> None:
    stated = {"X-Amz-Content-Sha256": "0" * 64, "Content-Type": "application/x-www-form-urlencoded"}
    with attacked(world) as there:

        def without_body(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
            return [(name, "1000000" if name == "Content-Length" else value) for name, value in headers]

        # The signature is right for the empty body, and not for what is stated.
        answer = there.send(headers=stated, service="sts", alter=without_body)
        assert (answer.status, "SignatureDoesNotMatch" in answer.text) == (403, True)


def test_the_bodies_that_are_held_are_bounded_and_small_ones_have_their_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 2 << 20
    made: list[Bodies] = []
    highest = 0

    def bounded() -> Bodies:
        made.append(Bodies(most))
        return made[-1]

    monkeypatch.setattr(application, "Bodies", bounded)
    with (
        attacked(world) as there,
        under(
            lambda: hostile_clients.large_bodies(
                HOST,
                there.shared_server.port,
                Bound(12, 4.0, left=3),
                STRANGER,
                authorization=authorization(world.root.access_key_id),
            )
        ) as outcomes,
    ):
        rounds = 0
        while rounds < 10 or not highest:
            assert there.send(body=IDENTITY, service="sts").status == 200
            highest = max(highest, made[-1].held)
            rounds += 1
            time.sleep(0.1)
    assert 0 < highest <= most
    (outcome,) = outcomes
    assert outcome.statuses[503] >= 9
    assert made[-1].held == 0


def test_what_two_programs_may_understand_differently_ends_the_connection(
    world: World,
) -> None:
    with attacked(world) as there:
        outcome = hostile_clients.ambiguous_requests(HOST, there.shared_server.port, Bound(1, 60.0))
    assert len(outcome.answers) == len(hostile_clients.AMBIGUOUS)
    assert set(outcome.statuses) == {400, 411, 505}
    for answer in outcome.answers:
        assert answer.count(b"x-amzn-requestid: ") == 1
        (request_id,) = [
            line.partition(b": ")[2]
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"x-amzn-requestid")
        ]
        assert request_id in answer.partition(b"\r\n\r\n")[2]


def test_who_fails_to_authenticate_again_and_again_is_not_heard_but_who_is_known_there_is(
    world: World,
) -> None:
    with attacked(world, may_fail=5) as there:
        assert there.client("sts").get_caller_identity()
        bad = partial(hostile_clients.bad_signatures, HOST, there.shared_server.port, Bound(9, 60.0))
        outcome = bad(authorization=authorization("AKIAUNKNOWNUNKNOWN00"))
        assert outcome.statuses == {403: 5, 429: 4}
        assert all(b"retry-after: 60" in answer for answer in outcome.answers[5:])
        assert b"Throttling" in outcome.answers[-1]
        assert b"RequestLimitExceeded" in bad(authorization=authorization("A" * 20, "ec2")).answers[-1]
        # The stranger's neighbour.
        assert there.client("sts").get_caller_identity()
        # Those who were not examined are not in the trail.
        assert len(world.events("Unknown")) == 5


def test_hosts_that_guess_tokens_are_not_heard_but_those_that_are_known_are(world: World) -> None:
    token = enrolled(world, INSTANCE)
    target = f"/host/v1/authorized-keys?user=root&fingerprint={FINGERPRINT}".replace("+", "%2B")
    with attacked(world, may_fail=5) as there:

        def status(bearer: str) -> int:
            return there.send("GET", target, {"Authorization": f"Bearer {bearer}"}).status

        assert status(token) == 200
        assert [status("x") for _ in range(7)] == [401] * 5 + [429] * 2
        assert status(token) == 200


def test_tls_records_that_carry_nothing_end_a_connection_and_those_of_requests_do_not(world: World) -> None:
    with attacked(world) as there:
        attack = hostile_clients.key_updates(HOST, there.shared_server.port, Bound(4, 60.0), STRANGER)
        assert (attack.opened, attack.ended) == (4, 4)
        # Reset at the first five hundred, of which the client may notice some more later.
        assert not attack.answers
        context = ssl.create_default_context(cafile=str(there.shared_server.ca))
        context.check_hostname = False
        with (
            socket.create_connection((HOST, there.shared_server.port)) as plain,
            context.wrap_socket(plain) as wire,
        ):
            for octet in HEALTH:
                wire.sendall(bytes([octet]))
            assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_caller_s_connection_lasts_for_any_number_of_requests(world: World) -> None:
    with attacked(world) as there:
        client = there.client("sts")
        for _ in range(RECORDS):
            client.get_caller_identity()
        assert len(there.shared_server.server.held) == 1


def test_who_is_known_may_ask_for_health_up_to_a_rate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAY_BE_REFUSED", 20)
    monkeypatch.setattr(sources, "MAY_BE_REFUSED_RATE", 0.0)
    with attacked(world) as there:
        assert there.client("sts").get_caller_identity()
        outcome = hostile_clients.raw_requests(HOST, there.shared_server.port, Bound(1, 60.0), [HEALTH] * 80)
        assert 20 <= outcome.statuses[200] <= 20 + MAY_WASTE
        assert outcome.refused >= 30


def test_strangers_do_not_hold_up_a_server_that_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, deadline in (
        (server, "HANDSHAKE_SECONDS"),
        (server, "SHUTDOWN_SECONDS"),
        (protocol, "HEADER_SECONDS"),
        (bodies, "GRACE"),
    ):
        monkeypatch.setattr(module, deadline, 600.0)
    with attacked(world) as there, ExitStack() as held:
        there.shared_server.server.config.timeout_graceful_shutdown = 600
        plain = [
            held.enter_context(
                socket.create_connection((HOST, there.shared_server.port), source_address=(STRANGER, 0))
            )
            for _ in range(4)
        ]
        context = ssl.create_default_context(cafile=str(there.shared_server.ca))
        context.check_hostname = False
        wires = [held.enter_context(context.wrap_socket(each)) for each in plain[1:]]
        wires[1].sendall(b"GET / HTTP/1.1\r\nhost: h")
        wires[2].sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\na")
        assert there.client("sts").get_caller_identity()
        stopping = threading.Thread(target=there.shared_server.close, daemon=True)
        stopping.start()
        stopping.join(60.0)
        assert not stopping.is_alive()


@pytest.mark.parametrize("more", [b"", b"a" * 900_000], ids=["head alone", "whole body"])
def test_who_is_refused_before_the_end_of_his_request_reads_why(world: World, more: bytes) -> None:
    """However much of it is on its way already: a reset would take the answer from him."""
    context = ssl.create_default_context(cafile=str(world.shared_server.ca))
    context.check_hostname = False
    with (
        attacked(world) as there,
        socket.create_connection((HOST, there.shared_server.port)) as plain,
        context.wrap_socket(plain) as wire,
    ):
        wire.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 900000\r\n\r\n" + more)
        time.sleep(0.2)
        assert wire.recv(9).startswith(b"HTTP/1.1 ")


def test_a_stranger_has_one_answer_on_a_connection_and_a_caller_all_of_them(world: World) -> None:
    with attacked(world) as there:
        outcome = hostile_clients.pipelined(
            HOST, there.shared_server.port, Bound(1, 30.0), STRANGER, request=HEALTH
        )
        (answer,) = outcome.answers
        assert answer.count(b"HTTP/1.1 200") == 1
        client = there.client("sts")
        for _ in range(20):
            client.get_caller_identity()
        assert len(there.shared_server.server.held) == 1


def test_an_answer_that_is_not_read_ends_the_connection_of_a_caller_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(server, "SHUTDOWN_SECONDS", 0.5)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"]["connection"].prove("AKIAALICEALICEALICE0")
            await Response(bytes(8 << 20))(scope, receive, send)

    with attacked(world) as there:
        there.shared_server.application = large
        outcome = hostile_clients.pipelined_and_unread(
            HOST, there.shared_server.port, Bound(2, 60.0), request=HEALTH
        )
        assert (outcome.opened, outcome.ended) == (2, 2)


def test_an_answer_that_nobody_takes_is_soon_gone_from_the_kernel_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.3)
    monkeypatch.setattr(server, "SHUTDOWN_SECONDS", 0.3)
    monkeypatch.setattr(server, "UNTAKEN_SECONDS", 0.3)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Response(bytes(8 << 20))(scope, receive, send)

    with attacked(world) as there, socket.socket() as client:
        there.shared_server.application = large
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((HOST, there.shared_server.port))
        context = ssl.create_default_context(cafile=world.shared_server.ca)
        with context.wrap_socket(client, server_hostname=HOST) as tls:
            ends = there.shared_server.port, tls.getsockname()[1]
            # As proc(5) has both ends.
            line = ":{:04X} 0100007F:{:04X} ".format(*ends)
            tls.sendall(HEALTH)
            assert line in Path("/proc/net/tcp").read_text()
            wait_until(lambda: line not in Path("/proc/net/tcp").read_text())


def test_keys_that_hosts_ask_for_do_not_wait_for_calls_that_hang(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, released = threading.Semaphore(0), threading.Event()
    token = enrolled(world, INSTANCE)
    with attacked(world, may_waste=100) as there:
        answer = Dispatcher.dispatch

        def hang(answering: Dispatcher, request: ApiRequest) -> dispatcher.Outcome:
            if b"Hang" in request.http.body:
                hanging.release()
                released.wait(60)
            return answer(answering, request)

        monkeypatch.setattr(Dispatcher, "dispatch", hang)
        with ThreadPoolExecutor(60) as pool:
            calls = [
                pool.submit(there.send, "POST", "/", None, IDENTITY + b"&Hang=1", service="sts")
                for _ in range(40)
            ]
            for _ in range(ThreadCounts().call_share):
                assert hanging.acquire(timeout=30)
            # That key has its share. Others have their calls answered, and nobody has waited.
            alice = world.user("alice")
            assert there.client("sts", alice).get_caller_identity()["Arn"].endswith("alice")
            all_is_well(replace(there, root=alice), token)
            assert not hanging.acquire(blocking=False)
            released.set()
            assert {call.result().status for call in calls} <= {400, 503}


def test_a_store_that_hangs_is_told_of_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(application, "READY_SECONDS", 0.2)
    monkeypatch.setattr(world.store, "answers", lambda: released.wait(60) and None)
    asked = [world.send("GET", "/readyz").status for _ in range(5)]
    released.set()
    assert asked == [503] * 5
    assert world.send("GET", "/healthz").status == 200


def test_a_machine_whose_clock_refuses_every_signature_is_not_ready_until_it_is_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [timedelta(minutes=6)]
    monkeypatch.setattr(world.store, "answers", lambda: world.plane.clock() - ahead[0])
    monkeypatch.setattr(server_time, "kept_right", lambda: False)
    answer = world.send("GET", "/readyz")
    assert (answer.status, answer.text.partition(" (")[0]) == (
        503,
        "this machine's clock is wrong: see its log",
    )
    ahead[0] = timedelta(0)
    assert world.send("GET", "/readyz").text == "ok\n"


def test_held_connections_are_shared_out_among_sources() -> None:
    class Transport:
        def abort(self) -> None:
            closed.append(self)

    class Connection:
        def __init__(self, source: str, idle_since: float | None) -> None:
            self.source, self.idle_since, self.transport = source, idle_since, Transport()

    closed: list[Transport] = []
    held = KeptAliveConnections(4, most_of_a_source=3)
    first, second, third = (Connection("a", at) for at in (3.0, 1.0, None))
    for each in (first, second, third):
        assert held.add(each)  # type: ignore[arg-type]
    # Its own is full: the one that has been idle for longest gives way.
    assert held.add(Connection("a", None))  # type: ignore[arg-type]
    assert closed == [second.transport]
    # All are: the source that has most gives way.
    assert held.add(Connection("b", None))  # type: ignore[arg-type]
    assert held.add(Connection("b", None))  # type: ignore[arg-type]
    assert closed == [second.transport, first.transport]
    # Nobody is idle.
    assert not held.add(Connection("c", None))  # type: ignore[arg-type]
    held.discard(third)  # type: ignore[arg-type]
    assert held.add(Connection("c", None))  # type: ignore[arg-type]
    assert len(held) == 4


@pytest.mark.parametrize(
    "ciphers",
    ["AES128-SHA256", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA"],
)
def test_tls_needs_forward_secrecy_and_authenticated_encryption(world: World, ciphers: str) -> None:
    context = hostile_clients._context.__wrapped__()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with socket.create_connection((HOST, world.shared_server.port)) as wire, pytest.raises(ssl.SSLError):
        context.wrap_socket(wire)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_gives_no_tickets(world: World, version: ssl.TLSVersion) -> None:
    context = hostile_clients._context.__wrapped__()
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((HOST, world.shared_server.port)) as plain,
        context.wrap_socket(plain) as wire,
    ):
        wire.sendall(HEALTH)
        assert wire.recv(65536).startswith(b"HTTP/1.1 200")
        assert wire.session is None or not wire.session.has_ticket


def authorization(key_id: str, service: str = "sts") -> str:
    """A signature whose scope and form are right."""
    day = time.strftime("%Y%m%d", time.gmtime())
    scope = f"{key_id}/{day}/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
