"""Parsed policies, kept for the next time. Bounded by what they take in memory, not only by their number."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

from hatchway.iam import Policy

_ENTRY: Final = 100
"""What each policy counts besides its document and its name: it is kept with a few objects of its own."""


class ParsedPolicies:
    """The policies that were asked for last. Thread-safe.

    A parsed policy takes up to 50 bytes for each character of its document: one of 6,144 takes 290 KB if it
    consists of patterns for resources or a condition.

    Args:
        parse: makes a policy of a document and a name. It may be called twice for one that two threads want.
        most: the characters that documents and names may have together.
    """

    def __init__(self, parse: Callable[[str, str], Policy], most: int) -> None:
        self._parse = parse
        self._most = most
        self._kept = OrderedDict[tuple[str, str], Policy]()
        self._size = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, document: str, name: str) -> Policy:
        """The policy of this document and this name."""
        key = document, name
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        policy = self._parse(document, name)
        if _size(key) <= self._most:
            with self._lock:
                self._keep(key, policy)
        return policy

    def clear(self) -> None:
        """Keep none of them."""
        with self._lock:
            self._kept.clear()
            self._size = 0

    def _keep(self, key: tuple[str, str], policy: Policy) -> None:
        if key not in self._kept:
            self._size += _size(key)
        self._kept[key] = policy
        while self._size > self._most:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._size -= _size(oldest)


def _size(key: tuple[str, str]) -> int:
    document, name = key
    return len(document) + len(name) + _ENTRY
