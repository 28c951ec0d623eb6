"""The model of the service `hatchway` where boto3 and the AWS CLI look for models: `~/.aws/models`.

(botocore: `botocore.loaders`; AWS CLI Command Reference, `configure add-model`.)
"""

import os
import shutil
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from hatchway.errors import CommandFailed

_SERVICE: Final = "hatchway"
_OURS: Final = frozenset({"service-2.json", "paginators-1.json"})


def install(home: Path) -> str:
    """Puts the model below a home directory, in place of another version's; what was done, in a sentence.

    Raises:
        CommandFailed: it cannot be written.
    """
    target = _target(home)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".hatchway-") as scratch:
            new = Path(scratch, _SERVICE)
            with as_file(files("hatchway") / "protocol" / "models" / _SERVICE) as source:
                shutil.copytree(source, new)
            for path in (new, *new.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o644)
            _take_away(target)
            os.replace(new, target)  # noqa: PTH105 - of a directory
    except OSError as problem:
        raise _cannot(target, problem) from problem
    return f"The model is in {target}. Try: aws hatchway list-tunnels"


def uninstall(home: Path) -> str:
    """Takes the model away again; what was done, in a sentence.

    Raises:
        CommandFailed: it cannot be taken away, or there is something else besides.
    """
    target = _target(home)
    try:
        return f"{target} is gone" if _take_away(target) else f"There was no model in {target}"
    except OSError as problem:
        raise _cannot(target, problem) from problem


def _target(home: Path) -> Path:
    return home / ".aws" / "models" / _SERVICE


def _take_away(target: Path) -> bool:
    """Whether there was a model.

    Raises:
        CommandFailed: there is something else besides, which is nobody's to delete.
    """
    if not target.exists():
        return False
    strange = [path for path in target.rglob("*") if not path.is_dir() and path.name not in _OURS]
    if target.is_symlink() or not target.is_dir() or strange:
        what = strange[0] if strange else target
        raise CommandFailed(f"{what} is nothing that Hatchway put there: move it away first")
    shutil.rmtree(target)
    return True


def _cannot(target: Path, problem: OSError) -> CommandFailed:
    return CommandFailed(f"{problem.filename or target} cannot be written: {problem.strerror}")
