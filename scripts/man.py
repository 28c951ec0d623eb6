#!/usr/bin/env python3
"""Write the manual pages, hatchway(1) and one for each command, from what `--help` says.

    scripts/man.py DIRECTORY

For those who make packages: DIRECTORY is share/man/man1 of what they package.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchway import __version__
from hatchway.cli.help_texts import plain_command
from hatchway.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 10_000
"""Nothing is wrapped by whom it is taken from: man(1) does that."""
_ROW = re.compile(r"  (\S.*?)(?:  +(\S.*))?")


def pages() -> dict[str, str]:
    """Each page by the name of its file."""
    whole = plain_command(app)
    context = whole.context_class(
        whole, info_name="hatchway", max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    return {f"{name.replace(' ', '-')}.1": _page(name, *of) for name, *of in _all(whole, context)}


def _all(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    yield context.command_path, command, context
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _all(
                inner,
                inner.context_class(
                    inner, info_name=name, parent=context, max_content_width=_WIDTH, terminal_width=_WIDTH
                ),
            )


def _page(name: str, command: Any, context: Any) -> str:
    usage, *lines = command.get_help(context).splitlines()
    dashed = name.replace(" ", "-")
    short = command.get_short_help_str(_WIDTH).rstrip(".")
    said = [
        f'.TH "{dashed.upper()}" 1 "" "Hatchway {__version__}" "Hatchway"',
        ".SH NAME",
        f"{_plain(dashed)} \\- {_plain(short)}",
        ".SH SYNOPSIS",
        f".B {_plain(name)}",
        _plain(usage.partition(f"{name} ")[2] or "[OPTIONS]"),
        ".SH DESCRIPTION",
        *_body(lines),
    ]
    if name != "hatchway":
        said += [".SH SEE ALSO", ".BR hatchway (1)"]
    return "\n".join(said) + "\n"


def _body(lines: list[str]) -> Iterator[str]:
    """Text, examples as they stand, and each option and command with its meaning behind it."""
    kind = "text"
    for line in lines:
        if re.fullmatch(r"(Options|Arguments|Commands):", line):
            kind = "rows"
            yield f".SH {line[:-1].upper()}"
        elif re.fullmatch(r"  Examples?:", line):
            kind = "example"
            yield ".SH EXAMPLES"
        elif not line.strip():
            if kind == "text":
                yield ".PP"
        elif kind == "rows" and (row := _ROW.fullmatch(line)) is not None:
            yield from (".TP", f".B {_plain(row[1])}")
            if row[2]:
                yield _plain(row[2])
        elif kind == "example":
            yield from (".PP", ".nf", f".RS 4\n{_plain(line.strip())}\n.RE", ".fi")
        else:
            yield _plain(line.strip())


def _plain(text: str) -> str:
    """As roff reads it: no escape, no control line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{text}" if text.startswith(".") else text


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
