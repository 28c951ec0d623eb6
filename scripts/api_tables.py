#!/usr/bin/env python3
"""Write the tables of docs/api.md that follow from the code, between their markers (`make tables`).

A test compares what is there with what this writes.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatchway.control.catalogue import OPERATIONS
from hatchway.control.services import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hatchway.control.operations import Operation

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "api.md"
PERMISSIONS: Final = ROOT / "tests" / "control" / "permissions.toml"
NEVER_SET: Final = ROOT / "tests" / "control" / "never_set.toml"
MARKED: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->\n)", re.DOTALL)


def calls() -> Iterator[str]:
    """The calls that there are, by service: those that only read, and those that write."""
    yield from header("service", "reads", "writes")
    for service in sorted(DIALECTS):
        ours = [operation for (of, _), operation in sorted(OPERATIONS.items()) if of == service]
        reads = ", ".join(operation.name for operation in ours if operation.reads_only)
        writes = ", ".join(operation.name for operation in ours if not operation.reads_only)
        yield row(f"`{service}`", reads or "-", writes or "-")


def refused() -> Iterator[str]:
    """The parameters that are refused by name, by call, each with the values that are taken."""
    yield from header("call", "refused", "accepted, because it changes nothing")
    for (service, name), operation in sorted(OPERATIONS.items()):
        if operation.unsupported:
            never, unless = _refused_by(operation)
            yield row(f"`{service}` {name}", never or "-", unless or "-")


def _refused_by(operation: Operation) -> tuple[str, str]:
    never = [f"`{place}`" for place, harmless in operation.unsupported.items() if not harmless]
    unless = [
        f"`{place}` = {' or '.join(_value(value) for value in harmless)}"
        for place, harmless in operation.unsupported.items()
        if harmless
    ]
    return ", ".join(never), ", ".join(unless)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`" if value else "nothing"


def never() -> Iterator[str]:
    """What answers never hold, by the shape of the service's model, and why."""
    yield from header("in", "never present", "because")
    for entry in tomllib.loads(NEVER_SET.read_text(encoding="utf-8"))["never"]:
        service, _, shape = entry["shape"].partition(".")
        yield row(f"`{service}` {shape}", ", ".join(sorted(entry["members"])), entry["why"])


def permissions() -> Iterator[str]:
    """What each call asks of policies: the actions, on what, and the condition keys that are its own."""
    yield from header("call", "permission", "on", "condition keys besides those of every request")
    for call, actions in tomllib.loads(PERMISSIONS.read_text(encoding="utf-8")).items():
        service, _, name = call.partition(" ")
        for action, each in actions.items():
            keys = ", ".join(f"`{key}`" for key in each["keys"])
            yield row(
                f"`{service}` {name}",
                f"`{action}`",
                ", ".join(f"`{kind}`" for kind in each["on"]),
                keys or "-",
            )


TABLES: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "calls": calls,
    "permissions": permissions,
    "refused": refused,
    "never": never,
}


def written_anew(page: str) -> str:
    """The page, with each of its tables as the code is now.

    Raises:
        KeyError: a marker names no table.
    """
    return MARKED.sub(lambda found: f"{found[1]}{''.join(TABLES[found[2]]())}{found[3]}", page)


def header(*cells: str) -> Iterator[str]:
    yield row(*cells)
    yield f"|{'---|' * len(cells)}\n"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
