"""What a server says, on the user's terminal: one short line that is printable, and no traceback."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

from fuzz.draws import Draws
from hatchway.client.connection.http_answer import HttpAnswer
from hatchway.client.discovery.discovery import gateway_port
from hatchway.client.errors import ApiError, ClientError, TunnelClosed, TunnelRefused, printable
from hatchway.client.tunnel.attempts import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def one_input(data: bytes) -> None:
    draws = Draws(data)
    body = draws.rest() if draws.chance(2) else json.dumps(_document(draws, 0)).encode()
    _shown(_refused(body, body[:80].decode("ascii", "surrogateescape")))
    try:
        port = _discovered(body)
        assert 1 <= port <= 65_535
        assert json.loads(body)["gateway_port"] == port
    except ApiError as error:
        _shown(error)
    text = printable(body.decode("utf-8", "surrogateescape"))
    assert text.isprintable()
    assert printable(text) == text
    _shown(TunnelClosed(4001, text))


def _refused(body: bytes, request_id: str) -> ClientError:
    """What is made of a gateway's answer."""
    return refusal(403, {"x-amzn-requestid": request_id}, body)


def _discovered(body: bytes) -> int:
    """What is made of a discovery document."""
    api_client = SimpleNamespace(discover=lambda _path: HttpAnswer(200, {}, body))
    profile: Any = SimpleNamespace(endpoint_url=lambda _service: "https://127.0.0.1:1", api_client=api_client)
    return gateway_port(profile)


def _shown(error: ClientError) -> None:
    line = str(error)
    assert line.isprintable(), line
    assert len(line) < 4000, len(line)
    if isinstance(error, TunnelRefused):
        assert (error.request_id or "").isprintable()


def _document(draws: Draws, depth: int) -> Any:
    if depth > 3 or draws.chance(3):
        return draws.one_of(
            (1, 8443, 65536, -1, True, None, 1e300, "443", "\x1b[2J", "\u202e", draws.text(30))
        )
    names = ("ErrorCode", "Message", "gateway_port", "x")
    if draws.chance(8):
        return [_document(draws, depth + 1)]
    return {draws.one_of(names): _document(draws, depth + 1) for _ in range(1 + draws.below(3))}


def seeds() -> list[bytes]:
    bodies = [
        b'{"ErrorCode": "AccessDeniedException", "Message": "User: arn is not authorized"}',
        b'{"ErrorCode": {"a": "\\u001b[31m"}, "Message": ["\\u202e"]}',
        b'{"gateway_port": 8444}',
        b'{"gateway_port": true}',
        b"[" * 60_000,
        b'{"gateway_port": 1' + b"0" * 5000 + b"}",
        b"<html>\x1b]0;title\x07</html>",
        b"",
        b"\xff" * 5000,
    ]
    return [b"\1" + body for body in bodies] + [
        b"\0" + bytes(at * 11 % 251 for at in range(start, start + 60)) for start in range(30)
    ]


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    bodies = {
        "a long message": b'{"Message": "' + b"\\u001b" * 20 * size + b'"}',
        "no JSON": b"\x1b" * 20 * size,
    }
    return {what: partial(_refused, body, "x") for what, body in bodies.items()}
