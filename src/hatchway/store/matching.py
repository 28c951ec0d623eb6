"""Patterns with wildcards, compared by the database: case-sensitive, and the same in both."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

ANY_RUN: Final = "*"
ANY_ONE: Final = "?"
"""The two wildcards: any run of characters, and any one character."""


class _Matches(FunctionElement[bool]):
    """`expression`, the pattern as SQLite's GLOB takes it, and as PostgreSQL's LIKE does."""

    name = "matches"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        # SQLAlchemy would compare what a function gives with 1, and SQLite then use no index.
        return self


@compiles(_Matches)
def _glob(element: _Matches, compiler: Any, **options: Any) -> str:
    expression, glob, _ = element.clauses
    return f"{compiler.process(expression, **options)} GLOB {compiler.process(glob, **options)}"


@compiles(_Matches, "postgresql")
def _like(element: _Matches, compiler: Any, **options: Any) -> str:
    expression, _, like = element.clauses
    return f"{compiler.process(expression, **options)} LIKE {compiler.process(like, **options)}"


def matches(expression: Any, pattern: Iterable[tuple[str, bool]]) -> ColumnElement[bool]:
    """Whether a pattern matches a whole text: its characters, each with whether it is a wildcard."""
    characters = list(pattern)
    glob = "".join(_in_glob(character, special) for character, special in characters)
    like = "".join(_in_like(character, special) for character, special in characters)
    return _Matches(expression, literal(glob, String), literal(like, String))


def _in_glob(character: str, special: bool) -> str:
    """SQLite: "The LIKE, GLOB, REGEXP, MATCH, and extract operators": no escape, but sets of characters."""
    return f"[{character}]" if character in "*?[" and not special else character


def _in_like(character: str, special: bool) -> str:
    """PostgreSQL: "Pattern Matching": LIKE, with its default escape."""
    if special:
        return "%" if character == ANY_RUN else "_"
    return f"\\{character}" if character in "%_\\" else character
