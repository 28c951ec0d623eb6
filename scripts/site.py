#!/usr/bin/env python3
"""Build the documents as a site: `make docs`, or `python scripts/site.py DIRECTORY`.

The site's source is laid out as the repository is, so that links are the same in both: README.md is its
front, the pages of docs/ are below, and what they link to beside them comes along. What a page is to have
of the code, and is not kept in it, is written here: every command with its options. Zensical, strictly: a
link to nowhere is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
CONFIGURATION: Final = REPOSITORY / "zensical.toml"
DEFAULT: Final = REPOSITORY / ".cache" / "site"
COMMANDS: Final = "docs/commands.md"

_LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def main() -> int:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    lay_out(directory)
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict", "-f", directory / "zensical.toml"],
        env={"NO_COLOR": "1", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if built.returncode != 0:
        print(built.stdout, re.sub(r"Traceback.*", "", built.stderr, flags=re.DOTALL), file=sys.stderr)
        return 1
    print(directory / "site" / "index.html")
    return 0


def lay_out(directory: Path) -> None:
    """Write the site's source and configuration into a directory, which is made anew."""
    shutil.rmtree(directory, ignore_errors=True)
    source = directory / "source"
    configuration = CONFIGURATION.read_text()
    placed = set(_pages(tomllib.loads(configuration)["project"]["nav"]))
    found = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").rglob("*.md"))
    for page in (placed | set(found)) - {COMMANDS}:
        _copy(page, source)
    (source / COMMANDS).parent.mkdir(exist_ok=True)
    (source / COMMANDS).write_text(commands())
    more = "".join(f'    "{page}",\n' for page in found if page not in placed)
    # The list of "How to" ends where that of "Reference" begins.
    configuration = configuration.replace('  ] },\n  { "Reference"', f'{more}  ] }},\n  {{ "Reference"')
    (directory / "zensical.toml").write_text(configuration)


def commands() -> str:
    """A page of every command, with what `--help` says of it."""
    from hatchway.cli.help_texts import plain_command
    from hatchway.cli.main import app

    lines = ["# Commands, with every option", "", "What each says of itself with `--help`."]

    def add(command: Any, name: str, parent: Any) -> None:
        context = command.context_class(command, info_name=name, parent=parent, max_content_width=100)
        path = context.command_path
        lines.extend(["", f"{'#' * min(path.count(' ') + 1, 3)} {path}" if parent else "## hatchway", ""])
        lines.extend(["```text", command.get_help(context).rstrip(), "```"])
        for inner, found in sorted(getattr(command, "commands", {}).items()):
            if not found.hidden:
                add(found, inner, context)

    add(plain_command(app), "hatchway", None)
    return "\n".join(lines) + "\n"


def _pages(navigation: list[Any]) -> list[str]:
    """The pages of a list of titles with pages or lists."""
    found: list[str] = []
    for entry in navigation:
        for value in entry.values():
            found += [value] if isinstance(value, str) else _pages(value)
    return found


def _copy(page: str, source: Path) -> None:
    """Copy a page, with what it links to that is no page. Of a directory its name is left."""
    text = (REPOSITORY / page).read_text()
    for link in set(_LINK.findall(text)):
        target = (REPOSITORY / page).parent / link
        if target.is_dir():
            text = re.sub(rf"\[([^\]]*)\]\({re.escape(link)}\)", r"\1", text)
        elif target.is_file() and target.suffix != ".md":
            _place(target.resolve(), source)
    _place(REPOSITORY / page, source).write_text(text)


def _place(path: Path, source: Path) -> Path:
    to = source / path.relative_to(REPOSITORY)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
    return to


if __name__ == "__main__":
    sys.exit(main())
