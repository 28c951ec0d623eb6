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


class DocumentReader:
    """Reads documents, each file and each text once, however many identities share it."""

    def __init__(self, read_file: ReadFile) -> None:
        self.documents: list[DeclaredDocument] = []
        """What was read so far that is a policy."""
        self._read_file = read_file
        self._files: dict[str, str | OSError | UnicodeDecodeError] = {}
        self._faults: dict[tuple[str, PolicyKind, int], str | None] = {}

    def read(
        self,
        value: Any,
        place: str,
        problems: Problems,
        *,
        quota: int,
        kind: PolicyKind = PolicyKind.IDENTITY,
    ) -> str | None:
        """The text of a document that is a policy within its quota."""
        if isinstance(value, Mapping):
            text = json.dumps(value, indent=2)
        elif not isinstance(value, str) or not value.strip():
            problems.add(place, f"{quoted(value)} is neither a policy document nor the path of one")
            return None
        elif value.lstrip().startswith("{"):
            text = value
        else:
            place = f"{place} ({quoted(value)[1:-1]})"
            content = self._file(value)
            if not isinstance(content, str):
                problems.add(place, f"cannot be read: {_reason(content)}")
                return None
            text = content
        fault = self._fault(text, kind, quota)
        if fault is not None:
            problems.add(place, fault)
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

    def _fault(self, text: str, kind: PolicyKind, quota: int) -> str | None:
        key = (text, kind, quota)
        if key not in self._faults:
            try:
                # The size first: what is too large is not worth the time that reading it takes.
                check_size(text, quota)
                parse_policy(text, kind=kind)
                self._faults[key] = None
            except (MalformedPolicy, PolicyTooLarge) as error:
                self._faults[key] = str(error)
        return self._faults[key]


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
