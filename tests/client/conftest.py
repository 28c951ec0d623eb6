"""What tests of the client share: certificates, a gateway, a control plane, an empty AWS configuration."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore.loaders import create_loader
from picows import WSListener, WSUpgradeRequest, ws_create_server
from tests.client.certificates import Certificates, make_certificates
from tests.client.stubs import (
    DNS_NAME,
    Answer,
    StubControlPlane,
    StubGateway,
    running_control_plane,
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is this test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True, scope="module")
def models_are_read_once() -> Iterator[None]:
    """Each of the client's sessions reads EC2's model, which is most of what a test here costs.

    For a file of tests at a time: a loader remembers which services it found, and one that a test elsewhere
    used first never finds Hatchway's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), DNS_NAME)


@pytest.fixture
def gateway(certificates: Certificates) -> Iterator[StubGateway]:
    stub = StubGateway(port=0, ca_bundle=str(certificates.ca), answer=WSListener)
    loop = asyncio.new_event_loop()
    started = threading.Event()

    def answer(request: WSUpgradeRequest) -> Answer:
        stub.requests.append(request)
        return stub.answer()

    async def serve() -> None:
        server = await ws_create_server(answer, "127.0.0.1", 0, ssl=certificates.server_context())
        stub.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert started.wait(60)
    yield stub
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()


@pytest.fixture
def control_plane(certificates: Certificates) -> Iterator[StubControlPlane]:
    with running_control_plane(certificates) as stub:
        yield stub


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Credentials in the environment and nothing else; gives the path of the shared configuration file."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return config


@pytest.fixture
def late_signals_do_nothing() -> Iterator[None]:
    """One that comes when the tunnel has ended would be the end of whoever runs the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda _number, _frame: None)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
