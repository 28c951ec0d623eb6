"""Mutants that no test notices, and the list of those that are known, each with its reason."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Change(NamedTuple):
    """What a mutant is, without line numbers, which change: its function, and its lines before and after."""

    function: str
    line: str
    mutant: str


def done(text: str) -> list[str]:
    """The modules whose survivors have all been looked at, such as ``iam/trust.py``."""
    return list(tomllib.loads(text)["done"])


def read_known(text: str) -> dict[Change, str]:
    """The reason of each survivor in the text of a survivors.toml. Raises KeyError for one that has none."""
    return {
        Change(entry["function"], entry["line"], entry["mutant"]): entry["reason"]
        for entry in tomllib.loads(text).get("survivor", ())
    }


def shown(change: Change) -> str:
    """A survivor as survivors.toml has it, the reason left open."""
    rows = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in change._asdict().items()]
    return "\n".join(["[[survivor]]", *rows, 'reason = ""'])


def faults(
    found: Iterable[Change], known: Mapping[Change, str], tried: Sequence[str], others: Sequence[str] = ()
) -> list[str]:
    """What there is to mend, a text for each: survivors without a reason, and entries that are out of date.

    Of the list, only what is in one of the modules `tried` (``iam.trust``) can be out of date. `others` are
    those that were not: modules in a package are not part of its ``__init__.py``.
    """
    survivors = dict.fromkeys(found)
    within = tuple(f"{module}." for module in tried)
    beside = tuple(f"{module}." for module in others if module.startswith(within))
    return [shown(change) for change in survivors if not known.get(change, "").strip()] + [
        f"Killed by now, or its code is no more:\n{shown(change)}"
        for change in known
        if change not in survivors
        and change.function.startswith(within)
        and not change.function.startswith(beside)
    ]
