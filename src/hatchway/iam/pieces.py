"""Pieces of text found in order: what patterns with ``*`` and ``?`` come to.

Matching never backtracks, so no pattern is slow: pieces are found left to right. A long one, or one with
``?`` within, takes a step for each of its characters, on integers of as many bits as the text has characters.
Where in a text a character stands is worked out once for all patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

SHORT: Final = 8
"""Characters that `str.find` finds as quickly in any text: more it may compare anew at each place of one
of some thousand."""

LONGEST_TEXT: Final = 2048
"""Characters of a text whose places are kept for the next pattern: no request's own texts are longer."""
LONGEST_CHUNK: Final = 256
MOST_CHUNKS: Final = 512
"""Chunks of one text whose places are kept: half a megabyte with the texts, at the very most."""

TextMatcher = Callable[[str], bool]


class Piece(NamedTuple):
    """What stands between two ``*``: `chunks` of literal text, each at its offset, among ``?``."""

    length: int
    chunks: tuple[tuple[int, str], ...]

    def stands_at(self, start: int, text: str) -> bool:
        return all(text.startswith(chunk, start + offset) for offset, chunk in self.chunks)

    def find(self, text: str, start: int, end: int, places: Places) -> int:
        """Where it first stands in `text` from `start` to `end`; below zero when nowhere."""
        if end - start < self.length:
            return -1
        if not self.chunks:
            return start
        if len(self.chunks) == 1:
            ((offset, chunk),) = self.chunks
            if len(chunk) <= SHORT or len(text) > LONGEST_TEXT:
                after = self.length - offset - len(chunk)
                return max(-1, text.find(chunk, start + offset, end - after) - offset)
        starts = -1
        for offset, chunk in self.chunks:
            starts &= places.of(chunk) >> offset
            if not starts:
                return -1
        starts >>= start
        at = start + (starts & -starts).bit_length() - 1
        return at if starts and at + self.length <= end else -1


def piece(parts: Iterable[str | None]) -> Piece:
    """The piece of literal texts and of ``?``, for which None stands."""
    chunks = []
    length = 0
    for part in parts:
        if part is None:
            length += 1
        elif part:
            chunks.append((length, str(part)))
            length += len(part)
    return Piece(length, tuple(chunks))


def in_order(pieces: Sequence[Piece]) -> TextMatcher:
    """The test of a whole text for `first*middle*…*last`, or for the one piece that there is.

    Taking each piece where it first stands leaves the most room for the rest.
    """
    first, *others = pieces
    if not others:
        return lambda text: len(text) == first.length and first.stands_at(0, text)
    *middle, last = others
    middle = [each for each in middle if each.length]
    shortest = first.length + last.length + sum(each.length for each in middle)

    def matches(text: str) -> bool:
        # Nothing longer than the text is gone through: what variables bring is as long as the caller likes.
        end = len(text) - last.length
        if len(text) < shortest or not (first.stands_at(0, text) and last.stands_at(end, text)):
            return False
        position = first.length
        places = _places(text)
        for each in middle:
            position = each.find(text, position, end, places)
            if position < 0:
                return False
            position += each.length
        return True

    return matches


def _places(text: str) -> Places:
    return _kept_places(text) if len(text) <= LONGEST_TEXT else Places(text)


class Places:
    """Where in a text each chunk of text stands: bit i when from its character i on."""

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[str, int] = {}

    def of(self, chunk: str) -> int:
        found = self._found.get(chunk)
        if found is None:
            found = self._look_for(chunk)
            if len(self._found) < MOST_CHUNKS and len(chunk) <= LONGEST_CHUNK:
                self._found[chunk] = found
        return found

    def _look_for(self, chunk: str) -> int:
        if len(chunk) == 1:
            return self._look_for_character(chunk)
        places = -1
        for offset, character in enumerate(chunk):
            places &= self.of(character) >> offset
            if not places:
                break
        return places

    def _look_for_character(self, character: str) -> int:
        backwards = self._text[::-1]
        if character not in backwards:
            return 0
        if backwards.isascii():  # as nearly always, and much faster
            flags = bytearray(b"0" * 256)
            flags[ord(character)] = ord("1")
            return int(backwards.encode("ascii").translate(flags), 2)
        return int("".join("1" if one == character else "0" for one in backwards), 2)


# All patterns of a decision are held against the same few texts.
_kept_places = lru_cache(maxsize=8)(Places)
