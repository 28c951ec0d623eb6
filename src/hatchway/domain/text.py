"""Which characters a text may hold: one rule, for every door that a text comes in by.

A text is kept by either database, travels in XML and JSON, and stands in lines that others read, in logs, in
the audit trail and on terminals. What one of them cannot hold, or takes for the end of a line, no text has:
controls, the two separators that are line ends to some (U+2028, U+2029), halves of surrogate pairs, and what
is no character for good. Tabs and line ends are for documents alone.
"""

import re
from typing import Final

_NO_CHARACTERS: Final = "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_NEVER: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029{_NO_CHARACTERS}]")
_NOT_IN_A_LINE: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_NO_CHARACTERS}]")


def text_problem(text: str) -> str | None:
    """Why this cannot be a text, which may have many lines; completes "the value …". None if it can."""
    return _problem(_NEVER, text, "no text may hold")


def line_problem(text: str) -> str | None:
    """The same for what is one line: a name, a tag, a description."""
    return _problem(_NOT_IN_A_LINE, text, "no name, tag or description may hold")


def _problem(refused: re.Pattern[str], text: str, rule: str) -> str | None:
    found = refused.search(text)
    return None if found is None else f"has the character U+{ord(found[0]):04X}, which {rule}"
