"""Which port the gateway has where none was given and 443 is taken."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from hatchway.errors import CommandFailed
from hatchway.server import ports
from hatchway.server.ports import default_gateway, held
from hatchway.settings import LOOPBACK, Address


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """In the place of port 443: one on which another program listens."""
    with closing(socket.create_server((LOOPBACK, 0))) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(ports, "DEFAULT_GATEWAY_PORT", port)
        yield Address(LOOPBACK, port)


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])
def test_a_gateway_is_not_put_where_the_api_of_the_same_server_listens(
    host: str, taken: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(Address(host, 0), "--api") as api:
        monkeypatch.setattr(ports, "UNPRIVILEGED_GATEWAY_PORT", api.port)
        with pytest.raises(CommandFailed) as refused:
            default_gateway(api)
    assert str(refused.value) == (
        f"cannot listen on {taken}: another program is listening there; and {LOOPBACK}:{api.port}, where the"
        " gateway would listen instead, is the API's: give --gateway, or another --api"
    )


def test_an_api_with_that_port_at_another_address_is_in_nobody_s_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(Address("127.0.0.2", 0), "--api") as api:
        monkeypatch.setattr(ports, "UNPRIVILEGED_GATEWAY_PORT", api.port)
        assert default_gateway(api) == Address(LOOPBACK, api.port)
    assert "the AWS CLI does not look" in capsys.readouterr().err
