"""Policy documents of a fleet file: in place, as text, or in a file of their own.

A document in place is the policy itself, as YAML or JSON has it. A text that begins with a brace is the
policy's own JSON, kept to the letter; any other text is the path of a file.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from hatchway.fleet.declarations import DeclaredDocument
from hatchway.fleet.problems import Problems, quoted
from hatchway.iam import (
    MalformedPolicy,
    PolicyKind,
    PolicyTooLarge,
    check_size,
    parse_policy,
)

ReadFile = Callable[[str], bytes]
"""Gives the content of a policy's file by the path in the fleet file. Raises OSError, whose text is shown."""


def no_files(path: str) -> bytes:
    """For a fleet file that comes without a directory."""
    raise OSError("policies' files cannot be read here: put the document itself in the fleet file")


class Reading(Problems):
    """One reading of a file: the problems and the policy documents found so far.

    Each policy's file and each text is read once, however many identities share it.
    """

    def __init__(self, read_file: ReadFile = no_files) -> None:
        super().__init__()
        self.documents: list[DeclaredDocument] = []
        self._read_file = read_file
        self._files: dict[str, str | OSError | UnicodeDecodeError] = {}
        self._refusals: dict[tuple[str, PolicyKind, int], str | None] = {}

    def document(self, value: Any, place: str, *, quota: int, kind: PolicyKind) -> str | None:
        """The text of a document that is a policy within its quota, given in place or by its file's path."""
        if isinstance(value, Mapping):
            text = json.dumps(value, indent=2)
        elif not isinstance(value, str) or not value.strip():
            self.add(place, f"{quoted(value)} is neither a policy document nor the path of one")
            return None
        elif value.lstrip().startswith("{"):
            text = value
        else:
            place = f"{place} ({quoted(value)[1:-1]})"
            content = self._file(value)
            if not isinstance(content, str):
                self.add(place, f"cannot be read: {_reason(content)}")
                return None
            text = content
        refusal = self._refusal(text, kind, quota)
        if refusal is not None:
            self.add(place, refusal)
            return None
        self.documents.append(DeclaredDocument(place, text, kind))
        return text

    def _file(self, path: str) -> str | OSError | UnicodeDecodeError:
        if path not in self._files:
            try:
                self._files[path] = self._read_file(path).decode("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                self._files[path] = error
            except ValueError:  # a path with a NUL byte
                self._files[path] = OSError("is not the path of a file")
        return self._files[path]

    def _refusal(self, text: str, kind: PolicyKind, quota: int) -> str | None:
        key = (text, kind, quota)
        if key not in self._refusals:
            try:
                # The size first: what is too large is not worth the time that reading it takes.
                check_size(text, quota)
                parse_policy(text, kind=kind)
                self._refusals[key] = None
            except (MalformedPolicy, PolicyTooLarge) as error:
                self._refusals[key] = str(error)
        return self._refusals[key]


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start})"
    return error.strerror or str(error)


def same_document(one: str, other: str) -> bool:
    """Whether two documents say the same, white space and the order of keys aside."""
    return one == other or canonical_document(one) == canonical_document(other)


def canonical_document(text: str) -> str:
    """The same text for all documents that say the same."""
    return json.dumps(json.loads(text, parse_float=str, parse_int=str), sort_keys=True)
