"""A fleet file without the paths of policies' files: each document in place of its path.

So it can be sent to where these files are not.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from hatchway.fleet.policy_documents import ReadFile
from hatchway.fleet.problems import BadFleet, Problem
from hatchway.fleet.text import read_text

_IDENTITIES: Final = ("users", "groups", "roles")


def with_policies_inline(content: bytes, read_file: ReadFile) -> bytes:
    """The file itself when it names no path; else the same as JSON, with the documents' texts to the letter.

    Args:
        content: a file that `parse_fleet` takes with the same `read_file`.

    Raises:
        BadFleet: a policy's file cannot be read any more.
    """
    file = read_text(content)
    replaced = False
    for holder, key in _documents(file):
        value = holder[key]
        if isinstance(value, str) and not value.lstrip().startswith("{"):
            try:
                holder[key] = read_file(value).decode("utf-8-sig")
            except (OSError, UnicodeDecodeError) as problem:
                raise BadFleet([Problem(value, f"cannot be read: {problem}")]) from problem
            replaced = True
    return json.dumps(file, ensure_ascii=False).encode() if replaced else content


def _documents(file: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Where documents are: a mapping and its key. Aliases may share a mapping, which is changed once."""
    policies = _mapping(file, "policies")
    for name, policy in policies.items():
        yield (policy, "document") if isinstance(policy, dict) and "document" in policy else (policies, name)
    for section in _IDENTITIES:
        for identity in _mapping(file, section).values():
            inline = _mapping(identity, "inline")
            yield from ((inline, name) for name in inline)
            if section == "roles" and isinstance(identity, dict) and "trust" in identity:
                yield identity, "trust"


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
