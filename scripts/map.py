#!/usr/bin/env python3
"""Draw who imports whom into CONTRIBUTING.md, as Mermaid, between the markers that name a package.

An arrow that others imply is left out: where `cli` imports `server` and `server` imports `store`, none is
drawn from `cli` to `store`.
"""

from __future__ import annotations

import re
from pathlib import Path

import grimp

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
MARKED = re.compile(r"(<!-- map: ([\w.]+) -->\n).*?(<!-- end of map -->\n)", re.DOTALL)
ROOT = "hatchway"


def imports_within(package: str) -> dict[str, set[str]]:
    """Each direct part of a package, by its last name, and the parts that it imports, however deep inside.

    Of the root only packages are parts: the modules beside them are for whoever needs them.
    """
    graph = grimp.build_graph(ROOT, cache_dir=None)
    parts = {part for part in graph.find_children(package) if package != ROOT or graph.find_children(part)}
    for part in parts:
        graph.squash_module(part)
    return {
        part.rpartition(".")[2]: {
            other.rpartition(".")[2]
            for other in graph.find_modules_directly_imported_by(part) & (parts - {part})
        }
        for part in parts
    }


def reachable(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """What one comes to from `start` by one arrow or more."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = arrows[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def without_implied(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no way of several says already; those within a cycle stay."""
    reach = {part: reachable(part, arrows) for part in arrows}

    def implied(start: str, end: str) -> bool:
        return any(
            end in reach[between] and between not in reach[end] and start not in reach[between]
            for between in arrows[start] - {end}
        )

    return {start: {end for end in ends if not implied(start, end)} for start, ends in arrows.items()}


def drawing(arrows: dict[str, set[str]]) -> str:
    """A Mermaid flowchart in a block of Markdown."""
    lines = ["```mermaid", "flowchart TD"]
    for start, ends in sorted(arrows.items()):
        lines.append(f"    {start} --> {' & '.join(sorted(ends))}" if ends else f"    {start}")
    return "\n".join([*lines, "```", ""])


def drawn_anew(page: str) -> str:
    """A page with each of its drawings as the imports are now."""
    return MARKED.sub(
        lambda found: f"{found[1]}{drawing(without_implied(imports_within(found[2])))}{found[3]}", page
    )


if __name__ == "__main__":
    PAGE.write_text(drawn_anew(PAGE.read_text()))
