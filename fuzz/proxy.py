"""What holds for every PROXY header, of either version."""

from __future__ import annotations

from hatchway.domain.addresses import parse_address
from hatchway.transport.listening.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header


def agrees(data: bytes, expected: tuple[str, int] | str | None, most: int) -> None:
    """That reading `data` gives what another reader has found, and the same however it is cut.

    `expected` is the client's address and port, `own` for a balancer's own connection, `cut` while there is
    too little, None where there is no header.
    """
    reading = _read(data)
    match reading:
        case None:
            assert expected == "cut", expected
            assert len(data) < most
        case ProxyHeader(None, _):
            assert expected == "own", expected
        case ProxyHeader(source, _):
            assert source is not None
            assert isinstance(expected, tuple), expected
            assert source == (parse_address(expected[0]), expected[1])
        case _:
            assert expected is None, expected
            return
    if isinstance(reading, ProxyHeader):
        size = reading.size
        assert size <= min(most, len(data))
        assert _read(data[:size]) == reading
        data = data[:size]
    # An answer stands, however much comes behind it; and there is none before.
    assert all(_read(data[:cut]) is None for cut in range(0, len(data), 1 + len(data) // 64))


def _read(data: bytes) -> ProxyHeader | str | None:
    try:
        return read_proxy_header(data)
    except BadProxyHeader as bad:
        assert len(str(bad)) < 200
        return "bad"
