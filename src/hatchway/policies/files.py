"""Policy documents in files, as the commands about policies read them."""

from pathlib import Path

from hatchway.errors import BadUsage
from hatchway.iam import MalformedPolicy, Policy, parse_policy
from hatchway.iam.document_text import MAX_DOCUMENT_CHARACTERS

_MOST_BYTES = 4 * MAX_DOCUMENT_CHARACTERS + 1


def read_file(path: Path, most_bytes: int = _MOST_BYTES) -> bytes:
    """The file's content, cut after `most_bytes`: the reader of what is in it has a bound of its own.

    Raises:
        BadUsage: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except (OSError, ValueError) as problem:
        # The second of a name with a NUL character.
        raise BadUsage(f"cannot read {path}: {getattr(problem, 'strerror', problem)}") from problem


def read_policy(path: Path) -> Policy:
    """The policy in a file, under the file's name.

    Raises:
        BadUsage: there is no policy in it.
    """
    try:
        return parse_policy(read_file(path), name=str(path))
    except MalformedPolicy as problem:
        raise BadUsage(f"{path}: {problem}") from problem
