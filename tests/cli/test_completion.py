"""`hatchway --show-completion` and `--install-completion`."""

from pathlib import Path

import pytest
from tests.cli.commands import hatchway as run

MARKS = {"bash": "complete -o default -F", "zsh": "#compdef hatchway", "fish": "complete --command hatchway"}


@pytest.mark.parametrize("shell", MARKS)
def test_completion_is_shown_and_installed_for_the_shell_that_is_named(shell: str, tmp_path: Path) -> None:
    for words in ((f"--show-completion={shell}",), ("--show-completion", shell)):
        shown = run(*words)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert {name for name, mark in MARKS.items() if mark in shown.stdout} == {shell}
    installed = run("--install-completion", shell, variables={"HOME": str(tmp_path)})
    assert installed.returncode == 0, installed.stderr
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(shown.stdout.strip() in text for text in written)


def test_a_shell_without_completion_is_refused_with_those_that_have_it(tmp_path: Path) -> None:
    for option in ("--show-completion", "--install-completion"):
        done = run(option, "tcsh", variables={"HOME": str(tmp_path)})
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("hatchway: there is no completion for 'tcsh', but for bash, zsh, fish")
    assert not list(tmp_path.iterdir())


def test_a_start_file_that_cannot_be_added_to_is_left_as_it_is_and_told_of(tmp_path: Path) -> None:
    start_file = tmp_path / ".bashrc"
    start_file.write_bytes(b"alias caf\xe9=true\n")
    done = run("--install-completion", "bash", variables={"HOME": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == (
        "hatchway: your shell's start file is not UTF-8: add what --show-completion prints\n"
    )
    assert start_file.read_bytes() == b"alias caf\xe9=true\n"
    assert run("--install-completion", "bash", variables={"HOME": "/proc/none"}).stderr.startswith(
        "hatchway: cannot use /proc/none"
    )
