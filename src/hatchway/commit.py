"""Which commit this program was built from. Imports nothing of ours: `hatch_build.py` runs it alone."""

import os
import subprocess
from pathlib import Path

NOTE = "commit.txt"
"""Beside this file in what was built: the commit. In a checkout there is none, and git is asked."""

_PACKAGE = Path(__file__).resolve().parent

_TIMEOUT = 10.0
"""Seconds for git to answer; it looks at every file for whether it was changed."""


def built_from(package: Path = _PACKAGE) -> str | None:
    """The commit's abbreviated id, with `-dirty` behind it when files were changed since; None if unknown.

    Args:
        package: the directory of the package.
    """
    try:
        return (package / NOTE).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return _checked_out(package)


def _checked_out(package: Path) -> str | None:
    root = package.parent.parent
    # An installed package may stand within somebody else's repository, whose commit says nothing of it.
    if package != root / "src" / "hatchway" or not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "--verify", "--short=12", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    if not commit or changed is None:
        return None
    return f"{commit}-dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str | None:
    """What git says of the repository, in which it writes nothing; None when it cannot."""
    # Within a hook of git, say, its variables name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # Root installs from a user's checkout, too. Git distrusts that, but what runs here is its own code; and
    # an index that root had refreshed would be root's.
    command = ["git", "--no-optional-locks", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
