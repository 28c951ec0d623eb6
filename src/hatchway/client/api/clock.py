"""The time that requests are signed at: this machine's, or the server's where this machine's clock is wrong
(clock skew).

A server that refuses a signature for its age says when it was made and what time it is. What it says is taken
for this process and those that it starts, which is told once, and the request made again. Only whoever is
trusted to be the server can say so: by TLS.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

_TOLD: Final = r"it was made at ([0-9]{8}T[0-9]{6}Z), and it is ([0-9]{8}T[0-9]{6}Z)\."

_LEAST: Final = timedelta(minutes=1)
"""What cannot be the reason of a refusal: signatures are good for five."""

_MOST: Final = timedelta(days=1)
"""Beyond it no certificate was believed either; and a request that is good in a week is nobody's to have."""

_TOLD_BEFORE: Final = "_HATCHWAY_CLOCK"
"""In which a process leaves what it has learnt to those that it starts, as ssh and its ProxyCommand: seconds
ahead of this machine's clock. They need not be refused too, nor say so again."""


def _read_offset(text: str) -> timedelta:
    try:
        told = timedelta(seconds=int(text[:10]))
    except (ValueError, OverflowError):
        return timedelta()
    return told if abs(told) <= _MOST else timedelta()


def _inherited() -> timedelta:
    return _read_offset(os.environ.get(_TOLD_BEFORE, "0"))


_offset = _inherited()


def inherit(text: str) -> None:
    """Take what another process has learnt, as it stands in the environment of those that it starts."""
    global _offset  # noqa: PLW0603 - a machine has one clock
    _offset = _read_offset(text) or _offset


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC) + _offset


def learn(message: str) -> bool:
    """Take the time from a refusal's message. Whether asking again makes sense: what was refused has another
    time than it would have now."""
    global _offset  # noqa: PLW0603 - a machine has one clock
    told = re.search(_TOLD, message)
    if told is None:
        return False
    try:
        made, theirs = map(_read, told.groups())
    except ValueError:
        return False
    offset = theirs - datetime.now(UTC)
    if abs(offset) > _MOST:
        return False
    if abs(offset - _offset) >= _LEAST:
        if not _offset:
            _tell(offset)
        _offset = offset
        os.environ[_TOLD_BEFORE] = str(round(offset.total_seconds()))
    return abs(made - now()) >= _LEAST


def _tell(offset: timedelta) -> None:
    minutes = round(abs(offset).total_seconds() / 60)
    way = "behind" if offset > timedelta() else "ahead of"
    print(
        f"hatchway: this machine's clock is {minutes} minutes {way} the server's, whose time is used: set it",
        file=sys.stderr,
    )


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
