"""The manual pages that scripts/man.py writes from what `--help` says."""

import re
import subprocess
from pathlib import Path
from typing import Any

from scripts.man import pages
from tests.programs import needs
from typer.main import get_command

from hatchway.cli.main import app


def commands(command: Any, name: str) -> dict[str, Any]:
    found = {name: command}
    for inner_name, inner in getattr(command, "commands", {}).items():
        found |= commands(inner, f"{name}-{inner_name}")
    return found


def test_every_command_has_a_page_with_all_its_options() -> None:
    written, there = pages(), commands(get_command(app), "hatchway")
    assert {f"{name}.1" for name in there} == set(written)
    for name, command in there.items():
        said = written[f"{name}.1"].replace("\\-", "-")
        for option in command.params:
            if option.param_type_name == "option" and not option.hidden:
                named = rf"^\.B .*{re.escape(option.opts[0])}( |$|,)"
                assert re.search(named, said, re.MULTILINE), (name, option)


@needs("groff", "groff")
def test_groff_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    for name, text in pages().items():
        (tmp_path / name).write_text(text, "utf-8")
    files = sorted(map(str, tmp_path.iterdir()))
    command = ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
