"""How a command ends, as whoever sits at the terminal sees it."""

import os
import pty
import tty

import pytest

from hatchway.cli import start
from hatchway.cli.ending import fail


def shown(terminal: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(terminal, 100)
    return data


def test_a_line_begins_at_the_left_on_a_terminal_that_ssh_has(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", buffering=1, newline="") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        assert fail("one\ntwo", 255) == 255
        assert shown(ours, 30) == b"hatchway: one\r\nhatchway: two\r\n"
        tty.setraw(theirs)
        assert fail("one\ntwo", 255) == 255
        assert shown(ours, 32) == b"\r\nhatchway: one\r\nhatchway: two\r\n"
    os.close(ours)


def test_an_interrupt_while_the_command_is_loaded_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "_run", interrupted)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130
    assert capfd.readouterr() == ("", "")
