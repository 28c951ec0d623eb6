"""Programs of before, from the history of git, run by the Python and the packages of now."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_ROOT = Path(__file__).parents[2]
_VERSIONS = "src/hatchway/store/migrations/versions"
_NUMBER = re.compile(r"/v(\d{4})_\w+\.py")
_RELEASE = re.compile(r"^## (\d\S*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A program whose own schema is an earlier one: its release, where it is one, or its commit."""

    schema: str
    commit: str
    release: str | None = None

    @property
    def name(self) -> str:
        return f"{self.schema} ({self.release or self.commit})"


def earlier_programs() -> list[Earlier]:
    """The last program of each schema before this one, and each release, the oldest first.

    None where there is no history.
    """
    added = _git("log", "--reverse", "--diff-filter=A", "--format=%h", "--", f"{_VERSIONS}/*.py").split()
    before = [_git("rev-parse", "--short", "--verify", f"{commit}^") for commit in added]
    last = {schema: commit for commit in before if commit and (schema := _schema(commit))}
    found = [Earlier(schema, commit) for schema, commit in last.items()]
    for commit in _git("log", "--format=%h", "-G", "^## [0-9]", "--", "CHANGELOG.md").split():
        release = _RELEASE.search(_git("show", f"{commit}:CHANGELOG.md"))
        if release is not None and (schema := _schema(commit)):
            found.append(Earlier(schema, commit, release[1]))
    return sorted(found, key=lambda each: (each.schema, each.release is None))


def _schema(commit: str) -> str:
    return max(_NUMBER.findall(_git("ls-tree", "--name-only", commit, f"{_VERSIONS}/")), default="")


@contextmanager
def sources(commit: str) -> Iterator[Path]:
    """The directory with the sources of a commit, for `PYTHONPATH`."""
    with TemporaryDirectory(prefix="hatchway-before-") as directory:
        archive = subprocess.run(
            ["git", "archive", commit, "src"], cwd=_ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", directory], input=archive.stdout, check=True)
        yield Path(directory)


@contextmanager
def program_before() -> Iterator[tuple[str, Path] | None]:
    """The last program of the schema before this one, where there is a history of git: its commit, and where
    its sources are."""
    found = [each for each in earlier_programs() if each.release is None]
    if not found:
        yield None
        return
    with sources(found[-1].commit) as directory:
        yield found[-1].commit, directory


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
