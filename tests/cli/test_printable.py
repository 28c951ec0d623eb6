"""What a terminal gets to see: text, whoever has written it."""

import os
import pty
import re
from pathlib import Path

import pytest

from hatchway.cli import printable
from hatchway.cli.printable import give, say

ORDERS = "\x1b]0;owned\x07 \x9b2J \x7f \u202e \udcff"
SPELT_OUT = "\\u001b]0;owned\\u0007 \\u009b2J \\u007f \\u202e \\udcff"


def test_whatever_a_terminal_might_obey_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"is {ORDERS}", "forged\nhatchway: line")
    assert capsys.readouterr().out == f"is {SPELT_OUT}\nforged\\nhatchway: line\n"


def test_a_document_is_given_to_a_file_as_it_is_and_to_a_terminal_as_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give("a: \u200d\x1b\nb: 1\n")
    assert capsys.readouterr().out == "a: \u200d\x1b\nb: 1\n"
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", buffering=1, newline="") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        give("a: \u200d\x1b\nb: 1\n")
        assert os.read(ours, 100) == b"a: \\u200d\\u001b\r\nb: 1\r\n"
    os.close(ours)


@pytest.mark.parametrize(
    "module", sorted(Path(printable.__file__).parent.glob("*.py")), ids=lambda module: module.stem
)
def test_no_command_prints_what_is_not_made_printable(module: Path) -> None:
    # What colours a line or ends the program looks after itself.
    if module.stem not in ("printable", "plan_output", "ending"):
        raw = re.findall(r"typer\.echo\(|\bprint\((?!printable\()|sys\.stdout\.write", module.read_text())
        assert [each for each in raw if module.stem != "policy_tree"] == []
