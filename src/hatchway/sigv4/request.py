"""The part of an HTTP request that Signature Version 4 covers."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

from hatchway.sigv4.query import query_pairs


# Not frozen: that doubles what one costs, and there is one for each tunnel.
@dataclass(slots=True)
class HttpRequest:
    """A request as it came over the wire, or as it is about to go.

    `path` and `query` are the two halves of the request target, still percent-encoded, split at the first
    `?`. `headers` keep their order and repetitions; names in any case. `parameters` are the query's names and
    values in canonical encoding, as `query_pairs` reads them. What may hold a secret stays out of the repr.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    read: InitVar[tuple[tuple[str, str], ...] | None] = None
    parameters: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self, read: tuple[tuple[str, str], ...] | None) -> None:
        """`read` are the parameters, where somebody has read that query already."""
        self.parameters = tuple(query_pairs(self.query)) if read is None else read

    def header_values(self, lower_name: str) -> list[str]:
        """All values of the header with that lower-case name, in order."""
        size = len(lower_name)
        return [value for name, value in self.headers if len(name) == size and name.lower() == lower_name]
