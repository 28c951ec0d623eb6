"""Values drawn from the bytes of an input, so that whoever changes a byte changes a choice."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Draws:
    """Draws from the front of the bytes; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether bytes are left."""
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """Up to so many bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def byte(self) -> int:
        return self.below(256)

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        return int.from_bytes(self.take(1 if limit <= 256 else 4)) % limit

    def chance(self, one_in: int = 2) -> bool:
        return self.below(one_in) == one_in - 1

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def octets(self, most: int) -> bytes:
        return self.take(self.below(most + 1))

    def text(self, most: int) -> str:
        """Text of up to so many bytes; those that are no UTF-8 are lone surrogates in it."""
        return self.octets(most).decode("utf-8", "surrogateescape")


def noise(count: int, size: int = 200) -> list[bytes]:
    """Inputs for targets that draw, always the same ones."""
    return [Random(number).randbytes(size) for number in range(count)]


def mutated(data: bytes, random: Random) -> bytes:
    """`data` with a few things done to it that find faults in parsers."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(changed))
        match random.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << random.randrange(8)
            case 1:
                changed[at:at] = random.choice(_INTERESTING)
            case 2:
                del changed[at : at + random.randint(1, 8)]
            case 3:
                changed[at:at] = changed[at : at + random.randint(1, 40)] * random.randint(1, 3)
            case 4:
                changed[at : at + 4] = random.randbytes(random.randint(0, 8))
            case _:
                del changed[at:]
    return bytes(changed)


_INTERESTING = (
    b"\0",
    b"\r\n",
    b"\n",
    b"\x7f",
    b"\xff\xff\xff\xff",
    b"\xed\xa0\x80",
    "\u2028".encode(),
    "\u0130\u00df\U0001f600".encode(),
    b"\\ud800",
    b"\\u0000",
    b"%00",
    b"%",
    b"%2F",
    b"..",
    b"//",
    b"*",
    b"?",
    b"${aws:username}",
    b"'\"",
    b"9999999999999999999",
    b"-1",
    b"1e999",
    b"::ffff:127.0.0.1",
    b"{}",
    b"[",
)
