"""Looking up the names of hosts that no tunnel may lead to."""

import threading
from typing import Any

import pytest

from hatchway.domain.addresses import parse_address
from hatchway.gateway.admission.resolver import Resolver


def test_names_are_looked_up_and_kept_while_they_do_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, list[str]] = {"db.example": ["10.0.1.5", "fe80::1%eth0"], "api.example": ["10.0.1.6"]}

    def look_up(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        if host not in answers:
            raise OSError("no such name")
        return [(None, None, None, "", (text, 0)) for text in answers[host]]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    resolver = Resolver(["db.example", "api.example", "nobody.example"])
    resolver.look_up()
    assert all(parse_address(text) in resolver for text in ("10.0.1.5", "fe80::1", "10.0.1.6"))
    answers.pop("db.example")
    answers["api.example"] = ["10.0.1.7"]
    resolver.look_up()
    assert parse_address("10.0.1.5") in resolver
    assert parse_address("10.0.1.6") not in resolver
    assert parse_address("10.0.1.7") in resolver


def test_a_resolver_that_hangs_holds_a_gateway_up_for_a_bounded_time_and_no_one_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr("hatchway.gateway.admission.resolver.FIRST", 0.05)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: hangs.wait(30) and [])
    resolver = Resolver(["db.example"])
    try:
        resolver.start()
        assert not hangs.is_set()
        assert parse_address("10.0.1.5") not in resolver
    finally:
        hangs.set()
        resolver.stop()
