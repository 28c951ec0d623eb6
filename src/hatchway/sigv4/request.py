"""The part of an HTTP request that Signature Version 4 covers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came over the wire, or as it is about to go.

    `path` and `query` are the two halves of the request target, still percent-encoded, split at the first
    `?`. `headers` keep their order and repetitions; names in any case. What may hold a secret stays out of
    the repr.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def header_values(self, lower_name: str) -> list[str]:
        """All values of the header with that lower-case name, in order."""
        return [value for name, value in self.headers if name.lower() == lower_name]
