"""Rows of text in columns."""

from collections.abc import Sequence

from hatchway.cli.printable import printable


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, the headings being the first: every cell as wide as its column's widest.

    Whatever is in a cell, a terminal gets text.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = (zip(row, widths, strict=True) for row in shown)
    return ["  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines]
