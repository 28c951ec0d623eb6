"""Host tokens: one spelling for each, nothing else is taken, and a refusal tells nothing of what it was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import Draws
from hatchway.domain.bearer_token import BearerToken, InvalidToken
from hatchway.domain.host_token import HOST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INSTANCE = "i-0123456789abcdef0"


def one_input(data: bytes) -> None:
    draws = Draws(data)
    secret = draws.take(32).ljust(32, b"\0")
    token = HOST_TOKEN.write(BearerToken(_INSTANCE, secret))
    read = HOST_TOKEN.read(token)
    assert (read.id, read.secret) == (_INSTANCE, secret)
    stored = HOST_TOKEN.hash(read)
    assert HOST_TOKEN.matches(read, stored)
    assert repr(secret) not in repr(read)
    at = draws.below(len(token) + 1)
    given = draws.rest().decode("latin-1")
    for text in (token[:at] + given + token[at + len(given) :], token[:at] + given + token[at:], given):
        try:
            other = HOST_TOKEN.read(text)
        except InvalidToken as refusal:
            assert str(refusal) == "not a host token"
            continue
        # Whatever is taken is the one spelling of itself, and lets nobody else in.
        assert HOST_TOKEN.write(BearerToken(other.id, other.secret)) == text
        assert HOST_TOKEN.matches(other, stored) is (text == token)


def seeds() -> list[bytes]:
    secrets = [bytes(32), b"\xff" * 32, bytes(range(32))]
    return [
        secret + bytes((at,)) + text
        for secret in secrets
        for at in (0, 3, 62, 66)
        for text in (b"_", b"\n", b"hwh_i-0_")
    ]


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    def work(text: str) -> None:
        try:
            HOST_TOKEN.read(text)
        except InvalidToken:
            return

    texts = {
        "a long id": f"hwh_i-{'0' * 20 * size}_{'A' * 43}",
        "a long secret": f"hwh_{_INSTANCE}_{'A' * 20 * size}",
    }
    return {what: partial(work, text) for what, text in texts.items()}
