"""How often somebody far away has to wait for an answer."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.client.stubs import INSTANCE_ID, StubControlPlane

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.discovery.discovery import TunnelOptions, plan_tunnel
from hatchway.client.ssh.ssh import introduce

KEY = "ssh-ed25519 " + "A" * 68


@dataclass
class Way:
    """To a server: counts connections, and how often each side spoke after the other had."""

    port: int = 0
    connections: int = 0
    turns: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def way(control_plane: StubControlPlane) -> Iterator[Way]:
    way = Way()
    server = urlsplit(control_plane.url)

    def carry(source: socket.socket, sink: socket.socket, mine: str, last: list[str]) -> None:
        try:
            while data := source.recv(65_536):
                if mine == "server":
                    # What is asked without waiting is under way before the first answer is.
                    time.sleep(0.3)
                with way.lock:
                    if last[0] != mine:
                        way.turns += mine == "client"
                        last[0] = mine
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def accept() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            way.connections += 1
            far = socket.create_connection((server.hostname or "", server.port or 0))
            last = ["server"]
            for ends in ((near, far, "client", last), (far, near, "server", last)):
                threading.Thread(target=carry, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        way.port = listening.getsockname()[1]
        threading.Thread(target=accept, daemon=True).start()
        yield way
        listening.shutdown(socket.SHUT_RDWR)


def test_all_that_a_tunnel_takes_is_asked_in_one_round_trip_on_one_connection_and_a_key_takes_one_more(
    control_plane: StubControlPlane, aws_environment: Path, way: Way
) -> None:
    control_plane.keeps_connections = True
    profile = Profile(
        ProfileOptions(
            region="us-east-1",
            endpoint_url=f"https://localhost:{way.port}",
            ca_bundle=control_plane.ca_bundle,
        )
    )
    plan_tunnel(profile, TunnelOptions(host=INSTANCE_ID))
    assert len(control_plane.calls) == 2
    # TLS takes the first; its end goes with the questions.
    assert (way.connections, way.turns) == (1, 2)
    introduce(profile, INSTANCE_ID, "ec2-user", KEY)
    assert len(control_plane.calls) == 4
    assert (way.connections, way.turns) == (1, 3)
