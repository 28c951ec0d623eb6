"""Form-encoded parameters: a flat list of dotted names, read as a tree. Both steps are bounded."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hatchway.protocol.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_PARAMETERS: Final = 5_000
"""Name and value pairs in one request. EC2 takes 1,000 ids in a call; each may bring a few of these."""
DEEPEST_NAME: Final = 20
"""Dots and names in a parameter's name. The deepest in EC2's model has ten."""


@dataclass(slots=True)
class Branch:
    """What stands under one dotted name: a value of its own, names below it, or both."""

    value: str | None = None
    children: dict[str, Branch] = field(default_factory=dict)


_NO_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def read_form(*texts: str) -> dict[str, str]:
    """The parameters of form-encoded texts together.

    Raises:
        ServiceError: some name is there twice, there are too many, or something is not encoded as it must be.
    """
    parameters: dict[str, str] = {}
    for text in texts:
        if text.count("&") >= MOST_PARAMETERS:
            raise ServiceError(
                "MalformedQueryString", f"The request has more than {MOST_PARAMETERS} parameters."
            )
        for pair in filter(None, text.split("&")):
            name, _, value = pair.partition("=")
            name = _decoded(name)
            if name in parameters:
                raise ServiceError(
                    "InvalidQueryParameter", f"The parameter {name[:256]} is there more than once."
                )
            parameters[name] = _decoded(value)
    return parameters


def _decoded(text: str) -> str:
    """`text` without its percent-encoding (URL Standard, section 5.1).

    By the decoder of quoted-printable, whose escapes differ by the sign alone: a caller may send hundreds of
    thousands of them, and `urllib.parse` is ten times as long about each.
    """
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    if _NO_ESCAPE.search(text):
        raise ServiceError("MalformedQueryString", "The parameters are not percent-encoded.")
    quoted = text.encode("utf-8", "surrogatepass").replace(b"=", b"=3D").replace(b"%", b"=")
    try:
        return binascii.a2b_qp(quoted).decode()
    except UnicodeDecodeError:
        raise ServiceError("MalformedQueryString", "The parameters are not encoded in UTF-8.") from None


def grow(parameters: Mapping[str, str]) -> Branch:
    """The tree of the dotted names.

    Raises:
        ServiceError: a name is too deep.
    """
    root = Branch()
    for name, value in parameters.items():
        steps = name.split(".", DEEPEST_NAME)
        if len(steps) > DEEPEST_NAME:
            raise ServiceError("InvalidQueryParameter", f"The parameter {name[:256]} has too many parts.")
        branch = root
        for step in steps:
            branch = branch.children.setdefault(step, Branch())
        branch.value = value
    return root
