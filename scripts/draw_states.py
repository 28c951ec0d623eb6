#!/usr/bin/env python3
"""Draw a tunnel's states into docs/tunnel-states.md, from their tables: `python scripts/draw_states.py`.

A test compares what is there with what this draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from hatchway.gateway.tunnel.state_tables import CLIENT, TARGET, TUNNEL, ClientState, TargetState, TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import StrEnum

    from hatchway.gateway.tunnel.state_tables import Table

PAGE: Final = Path(__file__).parent.parent / "docs" / "tunnel-states.md"
BEGIN: Final = "<!-- scripts/draw_states.py: begin -->\n"
END: Final = "<!-- scripts/draw_states.py: end -->\n"

_S = TypeVar("_S", ClientState, TargetState, TunnelState)


def drawn() -> str:
    """What belongs between the markers of the page: a diagram and a table for each machine, in Markdown."""
    return (
        _machine("The client's side", ClientState.OPEN, CLIENT)
        + _machine("The target's side", TargetState.CONNECTING, TARGET)
        + _machine("The tunnel", TunnelState.CARRYING, TUNNEL)
    )


def put(page: str) -> str:
    """The page, with what is drawn now between its markers.

    Raises:
        ValueError: the markers are not there.
    """
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + drawn() + END + tail


def _machine(title: str, first: _S, table: Table[_S]) -> str:
    diagram = "\n".join(
        ("```mermaid", "stateDiagram-v2", f"    [*] --> {first.name}", *_arrows(table), "```")
    )
    rows = "\n".join(("| in | on | to | and |", "|---|---|---|---|", *_rows(table)))
    return f"\n## {title}\n\n{diagram}\n\n{rows}\n"


def _arrows(table: Table[_S]) -> Iterator[str]:
    """All that leads from one state to another, with the events that do."""
    for before, row in table.items():
        events: dict[_S, list[str]] = {}
        for event, (after, _) in row.items():
            if after is not before:
                events.setdefault(after, []).append(_words(event))
        for after, those in events.items():
            yield f"    {before.name} --> {after.name}: {', '.join(those)}"
        if not events:
            yield f"    {before.name} --> [*]"


def _rows(table: Table[_S]) -> Iterator[str]:
    """All that can come in each state. Events on which the same is done share a row."""
    for before, row in table.items():
        steps = dict.fromkeys(row.values())
        for after, actions in steps:
            on = ", ".join(_words(event) for event, step in row.items() if step == (after, actions))
            to = "" if after is before else f"`{after.name}`"
            yield f"| `{before.name}` | {on} | {to} | {', '.join(map(_words, actions))} |"


def _words(name: StrEnum) -> str:
    return name.value.replace("_", " ")


if __name__ == "__main__":
    PAGE.write_text(put(PAGE.read_text()))
