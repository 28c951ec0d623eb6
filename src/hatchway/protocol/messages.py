"""What goes in and out of a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """An operation asked for, and its parameters under the model's member names."""

    operation: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response, all but its `Content-Length`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
