"""Why a tunnel ends: whoever is told of it knows every code and reason that a gateway has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from hatchway.client.errors import TunnelClosed
from hatchway.gateway.admission import refusal
from hatchway.gateway.admission.refusal import Overrun
from hatchway.gateway.telemetry.metrics import CLOSE_REASONS
from hatchway.gateway.tunnel import closures
from hatchway.transport.websocket import close
from hatchway.transport.websocket.close import Closure

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gateway.md"
OWN_CODES = range(4000, 5000)
"""RFC 6455 section 7.4.2: for an application's own use."""


def every_closure() -> set[Closure]:
    values = [*vars(closures).values(), *vars(close).values()]
    made = [
        value(600) for value in values if inspect.isroutine(value) and value.__module__ == closures.__name__
    ]
    over = [value.closure for value in vars(refusal).values() if isinstance(value, Overrun)]
    return {value for value in [*values, *made, *over] if isinstance(value, Closure)}


def documented() -> dict[str, list[str]]:
    """Codes to how their reasons begin, by the table of the gateway's page; what follows is a number."""
    table = PAGE.read_text().partition("**How a tunnel ends**")[2].partition("\n\n")[2].partition("\n\n")[0]
    found: dict[str, list[str]] = {}
    for codes, reason in re.findall(r"^\| ([\d, ]+) \|([^|]*)\|", table, re.MULTILINE):
        for code in codes.split(", "):
            found.setdefault(code, []).append(re.split(r"\d|…", reason.strip(" `"))[0])
    return found


ALL = sorted(every_closure(), key=lambda closure: (closure.code, closure.reason))


def test_those_that_are_made_for_a_limit_or_a_quota_are_among_them() -> None:
    assert {4001, 4002, 4029, 1002, 1008} <= {closure.code for closure in ALL}
    assert len(ALL) > 14


@pytest.mark.parametrize("closure", ALL, ids=str)
def test_each_is_counted_by_a_reason_and_stands_in_the_documents(closure: Closure) -> None:
    assert closure.code in CLOSE_REASONS
    reasons = documented()[str(closure.code)]
    if reasons != ["what was wrong"]:
        assert any(
            closure.reason.startswith(reason) and bool(closure.reason) is bool(reason) for reason in reasons
        )


@pytest.mark.parametrize("closure", [one for one in ALL if one.code in OWN_CODES], ids=str)
def test_of_each_that_no_standard_has_the_client_says_what_to_do(closure: Closure) -> None:
    bare = f"tunnel closed: {closure.reason} (request id 5d2c)"
    assert str(TunnelClosed(closure.code, closure.reason, "5d2c")).startswith(f"{bare}: ")
