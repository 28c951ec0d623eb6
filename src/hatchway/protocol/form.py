"""Form-encoded parameters: a flat list of dotted names, read as a tree. Both steps are bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

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


def read_form(*texts: str) -> dict[str, str]:
    """The parameters of form-encoded texts together.

    Raises:
        ServiceError: some name is there twice, there are too many, or something is not UTF-8.
    """
    parameters: dict[str, str] = {}
    for text in texts:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
        except UnicodeDecodeError:
            raise ServiceError("MalformedQueryString", "The parameters are not encoded in UTF-8.") from None
        except ValueError:
            raise ServiceError(
                "MalformedQueryString", f"The request has more than {MOST_PARAMETERS} parameters."
            ) from None
        for name, value in pairs:
            if name in parameters:
                raise ServiceError(
                    "InvalidQueryParameter", f"The parameter {name[:256]} is there more than once."
                )
            parameters[name] = value
    return parameters


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
