"""Completion put where a user's shell finds it, and taken away again.

    bash    ~/.bash_completions/hatchway.sh, and a line at the end of ~/.bashrc
    zsh     ~/.zfunc/_hatchway, and a line at the end of ~/.zshrc, which others' completion needs as well
    fish    ~/.config/fish/completions/hatchway.fish

Both are what other programs do that are made with typer: a line of theirs that is there already is enough.
Of what else stands in a start file not a byte is changed.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hatchway.client.atomic_file import write_atomically
from hatchway.errors import CommandFailed

SHELLS: Final = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class _Place:
    """`line` is what the start file has to have, `shared` whether others' completion goes by it too."""

    script: Path
    start_file: Path | None = None
    line: str = ""
    shared: bool = False


def install(shell: str, script: str) -> Path:
    """Puts the script in its place. To do so twice is to do so once.

    Args:
        shell: one of `SHELLS`.

    Returns:
        Where the script is.

    Raises:
        CommandFailed: the caller has no home.
        OSError: a file cannot be written; the start file is as it was.
    """
    place = _place(shell)
    write_atomically(place.script, f"{script.rstrip()}\n")
    if place.start_file is not None:
        text = _read(place.start_file)
        if place.line not in text.splitlines():
            between = "" if not text or text.endswith("\n") else "\n"
            write_atomically(place.start_file, f"{text}{between}{place.line}\n", mode=0o644)
    return place.script


def uninstall(shell: str) -> list[Path]:
    """Takes away what `install` has put there. What was changed or removed, nothing where nothing was there.

    Raises:
        CommandFailed: the caller has no home.
        OSError: a file cannot be written; the start file is as it was.
    """
    place = _place(shell)
    taken = []
    with suppress(FileNotFoundError):
        place.script.unlink()
        taken.append(place.script)
    with suppress(OSError):
        # What somebody else has put there stays.
        place.script.parent.rmdir()
    if place.start_file is None or (place.shared and place.script.parent.exists()):
        return taken
    before = _read(place.start_file)
    after = "".join(line for line in before.splitlines(keepends=True) if line.rstrip("\n") != place.line)
    if after != before:
        write_atomically(place.start_file, after)
        taken.append(place.start_file)
    return taken


def _place(shell: str) -> _Place:
    try:
        home = Path.home()
    except RuntimeError:
        raise CommandFailed("there is no home directory to install it in: set HOME") from None
    match shell:
        case "bash":
            script = home / ".bash_completions" / "hatchway.sh"
            quoted = str(script).replace("'", "'\\''")
            return _Place(script, _start_file(home / ".bashrc"), f"source '{quoted}'")
        case "zsh":
            line = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
            return _Place(home / ".zfunc" / "_hatchway", _start_file(home / ".zshrc"), line, shared=True)
        case _:
            return _Place(home / ".config" / "fish" / "completions" / "hatchway.fish")


def _start_file(path: Path) -> Path:
    """Behind a symbolic link, as people have who keep their files elsewhere."""
    return Path(os.path.realpath(path))


def _read(path: Path) -> str:
    """A file with the bytes and the ends of lines that it has; nothing where there is none."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
