"""The proxy that the environment names."""

import pytest

from hatchway.client.connection.proxy import proxy_for
from hatchway.client.errors import NotConfigured


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy:3128", "http://proxy:3128"),
        ("proxy", "http://proxy:1080"),
        ("http://proxy", "http://proxy:1080"),
        ("https://proxy", "https://proxy:443"),
        ("socks4://proxy:", "socks4://proxy:1080"),
        ("[fd00::1]", "http://[fd00::1]:1080"),
        ("user:secret@proxy:3128", "http://user:secret@proxy:3128"),
        ("[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("socks5://proxy:1080", "socks5://proxy:1080"),
        ("socks5h://a:b%40c@proxy", "socks5h://a:b%40c@proxy:1080"),
        ("socks4a://proxy:1080", "socks4a://proxy:1080"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_may_stand_without_a_scheme_and_without_a_port(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, url: str
) -> None:
    monkeypatch.setenv(name, value)
    assert proxy_for("gateway.example", 443) == url


def test_without_a_proxy_there_is_none_and_https_goes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for("gateway.example", 443) is None
    monkeypatch.setenv("HTTP_PROXY", "plain:1")
    assert proxy_for("gateway.example", 443) is None
    monkeypatch.setenv("ALL_PROXY", "all:1")
    monkeypatch.setenv("HTTPS_PROXY", "")
    assert proxy_for("gateway.example", 443) == "http://all:1"
    monkeypatch.setenv("HTTPS_PROXY", "https:1")
    assert proxy_for("gateway.example", 443) == "http://https:1"


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "ftp://secret@proxy",
        "proxy:secret",
        "http://proxy:99999",
        "proxy:0",
        "http://[::1",
        "a b\n",
        "x#y",
    ],
)
def test_what_is_no_proxy_is_refused_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(NotConfigured, match="HTTPS_PROXY") as caught:
        proxy_for("gateway.example", 443)
    assert value == "http://" or value.strip() not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "exceptions", "excepted"),
    [
        ("gateway.example", "gateway.example", True),
        ("gateway.example", "Example", True),
        ("gateway.example", ".example", True),
        ("gateway.example", "*.example", True),
        ("gateway.example", "way.example", False),
        ("gateway.example", "x, gateway.example:443 ", True),
        ("gateway.example", "gateway.example:8443", False),
        ("gateway.example", "*", True),
        ("gateway.example", "localhost gateway.example", True),
        ("gateway.example", ", ,.,", False),
        ("10.0.1.1", "10.0.0.0/16", True),
        ("10.0.1.1", "10.0.1.1", True),
        ("10.0.1.1", "10.0.1.1:443", True),
        ("10.1.1.1", "10.0.0.0/16", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "fd00::1", True),
        ("fd00::1", "10.0.0.0/8", False),
        ("gateway.example", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_names_what_is_reached_without(
    monkeypatch: pytest.MonkeyPatch, host: str, exceptions: str, excepted: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (proxy_for(host, 443) is None) is excepted
