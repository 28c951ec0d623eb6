"""What an event is found by as one text, in which each term is a line: a row of `audit_unindexed`.

    >>> to_lines(["Username=alice", "ReadOnly=true"])
    '\\n"Username=alice"\\n"ReadOnly=true"\\n'

A line is a text of JSON, and all of ASCII: so no term has a line's end in it, and the lines of one term are
looked for in those of many.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

_END: Final = "\n"
_LONGEST: Final = 320
"""Characters of a term in `audit_lookups`."""
_FEW: Final = 12
_MOST: Final = 200
"""Terms of one event: about twice as many as there are resources in one."""


def to_lines(terms: Iterable[str]) -> str:
    terms = tuple(terms)
    return _remembered(terms) if len(terms) <= _FEW else _to_lines(terms)


def _to_lines(terms: tuple[str, ...]) -> str:
    return _END.join(["", *map(json.dumps, terms), ""])


# Those of tunnels come again and again.
_remembered = lru_cache(maxsize=1024)(_to_lines)


def from_lines(lines: str) -> tuple[str, ...]:
    """The terms, but for what `audit_lookups` cannot have: who has a gateway's role may have entered it."""
    try:
        terms = json.loads(f"[{lines.strip().replace(_END, ',')}]")
    except (ValueError, RecursionError):
        return ()
    return tuple([term for term in terms if _can_be_entered(term)][:_MOST])


def _can_be_entered(term: Any) -> bool:
    if not isinstance(term, str) or len(term) > _LONGEST:
        return False
    try:
        return b"\0" not in term.encode()
    except UnicodeEncodeError:
        return False
