"""What is printed of others' words: printable, bounded, and without a proxy's password."""

import asyncio
import ssl
from unittest.mock import MagicMock

import pytest

from hatchway.client.errors import ClientError, printable
from hatchway.client.tunnel import Route, _connect

SECRET = "hunter2"


def test_control_characters_are_shown_as_such_and_long_texts_cut() -> None:
    assert printable("a\x1b[2Jb\n") == "a\ufffd[2Jb\ufffd"
    assert printable("x" * 2000) == "x" * 1000


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:3128",
        f"user:{SECRET}@127.0.0.1:3128",
        f"http:/user:{SECRET}@127.0.0.1:3128",
        f"ftp://user:{SECRET}@127.0.0.1",
        f"http://user:a@{SECRET}@127.0.0.1:port",
        f"http://:{SECRET}@[::1",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxys_password_is_printed_however_its_url_is_spelt(
    variable: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, url)
    told = printable(f'Failed to connect to proxy URL: "http://{url}"')
    assert SECRET not in told
    assert "127.0.0.1" in told or "[::1" in told


@pytest.mark.parametrize(
    "url",
    [f"ftp://user:{SECRET}@127.0.0.1:1", f"http://user:{SECRET}@127.0.0.1:port", f"http://{SECRET}@[::1"],
)
def test_a_proxy_that_is_none_is_told_of_in_a_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("NO_PROXY", "")
    route = Route(dns_name="gateway.example", port=443)
    context = ssl.create_default_context()
    with pytest.raises(ClientError) as raised:
        asyncio.run(_connect(route, "/openTunnel", context, MagicMock()))
    assert SECRET not in str(raised.value)


def test_a_proxy_without_a_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert printable("no answer from http://127.0.0.1:3128") == "no answer from http://127.0.0.1:3128"
