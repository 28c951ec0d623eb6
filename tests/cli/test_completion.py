"""`hatchway --show-completion`, `--install-completion` and `--uninstall-completion`."""

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
    for option in ("--show-completion", "--install-completion", "--uninstall-completion"):
        done = run(option, "tcsh", variables={"HOME": str(tmp_path)})
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("hatchway: there is no completion for 'tcsh', but for bash, zsh, fish")
    assert not list(tmp_path.iterdir())


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


# Without a line feed at its end, with blank lines, and with a byte that is no UTF-8.
OWN = b"\n\nalias caf\xe9=true\r\nexport X=1"


@pytest.mark.parametrize(("shell", "start_file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", None)])
def test_a_start_file_gets_a_line_once_and_loses_it_again_and_nothing_else(
    shell: str, start_file: str | None, tmp_path: Path
) -> None:
    home = {"HOME": str(tmp_path)}
    for name in (".bashrc", ".zshrc"):
        (tmp_path / name).write_bytes(OWN)
    before = files(tmp_path)
    assert run("--install-completion", shell, variables=home).returncode == 0
    after = files(tmp_path)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ([] if start_file is None else [start_file])
    if start_file is not None:
        assert after[start_file].startswith(OWN + b"\n")
        assert after[start_file].removeprefix(OWN + b"\n").count(b"\n") == 1
    assert run("--install-completion", shell, variables=home).returncode == 0
    assert files(tmp_path) == after
    taken = run("--uninstall-completion", shell, variables=home)
    assert taken.returncode == 0, taken.stderr
    assert {name: text.rstrip(b"\n") for name, text in files(tmp_path).items()} == before
    again = run("--uninstall-completion", shell, variables=home)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"hatchway: there is no completion of {shell} to take away")


def test_what_other_programs_completion_needs_stays(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    (tmp_path / ".zfunc").mkdir()
    (tmp_path / ".zfunc" / "_other").write_text("#compdef other\n")
    assert run("--install-completion", "zsh", variables=home).returncode == 0
    assert run("--uninstall-completion", "zsh", variables=home).returncode == 0
    assert set(files(tmp_path)) == {".zfunc/_other", ".zshrc"}
    assert "fpath+=~/.zfunc" in (tmp_path / ".zshrc").read_text()


def test_a_start_file_behind_a_link_stays_there(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "bashrc").write_text("# mine\n")
    (tmp_path / ".bashrc").symlink_to("dotfiles/bashrc")
    assert run("--install-completion", "bash", variables={"HOME": str(tmp_path)}).returncode == 0
    assert (tmp_path / ".bashrc").is_symlink()
    assert "source " in (tmp_path / "dotfiles" / "bashrc").read_text()


def test_where_nothing_can_be_written_it_is_said_what_to_do() -> None:
    said = run("--install-completion", "bash", variables={"HOME": "/proc/none"}).stderr
    assert said.startswith("hatchway: cannot use /proc/none")
    assert said.endswith(": put what --show-completion prints where your shell reads it\n")
