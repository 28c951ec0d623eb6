"""All rows, by the names that `--rows` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.gateway import measures, ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gateway.measures import Bench

ROWS: Final[dict[str, Callable[[Bench], None]]] = {
    "throughput": measures.throughput,
    "paced": ordinary.paced,
    "floods": measures.floods,
    "echo": measures.echo,
    "talking": ordinary.talking,
    "opens": measures.opens,
    "few": ordinary.few,
    "memory": measures.memory,
    "scale": measures.scale,
    "workers": measures.workers,
}
