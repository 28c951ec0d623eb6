"""All rows, by the names that `--rows` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.gateway import bulk, circumstances, measures, ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gateway.samples import Bench

ROWS: Final[dict[str, Callable[[Bench], None]]] = {
    "paced": ordinary.paced,
    "echo": measures.echo,
    "talking": ordinary.talking,
    "few": ordinary.few,
    "opens": measures.opens,
    "memory": measures.memory,
    "busy": circumstances.busy,
    "plain": circumstances.plain,
    "throughput": bulk.throughput,
    "scale": measures.scale,
    "workers": measures.workers,
    "floods": bulk.floods,
}
