"""The commit that a program was built from, by whichever way it came."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hatchway.commit import built_from

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.test")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(directory), *identity, *arguments],
        env={**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of the project as a build takes, as a repository of its own."""
    root = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "src" / "hatchway",
        root / "src" / "hatchway",
        ignore=lambda directory, names: [
            name for name in names if Path(directory, name).is_dir() or not name.endswith(".py")
        ],
    )
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, root)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    return root


def test_a_checkout_is_at_its_commit_and_dirty_once_it_is_changed(checkout: Path) -> None:
    package = checkout / "src" / "hatchway"
    commit = git(checkout, "rev-parse", "--short=12", "HEAD")
    assert built_from(package) == commit
    (package / "__init__.py").write_text("")
    assert built_from(package) == f"{commit}-dirty"


def test_a_checkout_of_another_user_s_has_a_commit_too(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("git")
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "git"
    script.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)
    with pytest.raises(subprocess.CalledProcessError):
        git(checkout, "status")
    (checkout / "README.md").touch()
    index = checkout / ".git" / "index"
    before = index.stat()
    assert built_from(checkout / "src" / "hatchway") is not None
    # An index that is refreshed is a new file, of whoever refreshed it.
    assert index.stat().st_ino == before.st_ino


def test_another_s_repository_around_a_package_is_not_asked(checkout: Path) -> None:
    installed = checkout / "venv" / "hatchway"
    installed.mkdir(parents=True)
    assert built_from(installed) is None


def test_without_git_or_a_repository_it_is_not_known(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = checkout / "src" / "hatchway"
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert built_from(package) is None
    shutil.rmtree(checkout / ".git")
    assert built_from(package) is None


def build(root: Path, target: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target],
        cwd=root, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    (built,) = (root / "dist").glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


def test_a_wheel_and_an_sdist_and_the_wheel_of_that_carry_the_commit(checkout: Path, tmp_path: Path) -> None:
    commit = git(checkout, "rev-parse", "--short=12", "HEAD")
    with zipfile.ZipFile(build(checkout, "wheel")) as wheel:
        wheel.extractall(tmp_path / "wheel")
    assert built_from(tmp_path / "wheel" / "hatchway") == commit
    shutil.unpack_archive(build(checkout, "sdist"), tmp_path / "sdist")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    with zipfile.ZipFile(build(unpacked, "wheel")) as wheel:
        wheel.extractall(tmp_path / "second")
    assert built_from(tmp_path / "second" / "hatchway") == commit
    assert git(checkout, "status", "--porcelain") == ""
