"""The request as the signature sees it."""

from __future__ import annotations

from tests.sigv4.header_form import (
    plain,
    signed,
)

from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_header_signature


def test_its_repr_holds_no_secret() -> None:
    request = signed(plain, session_token="secret-token")

    assert "secret-token" not in repr(request)
    assert read_header_signature(request).signature not in repr(request)


def test_its_parameters_are_in_canonical_encoding_in_the_order_of_the_query() -> None:
    request = HttpRequest("GET", "/", "b=1+2&a=%7e&&c", ())

    assert request.parameters == (("b", "1%202"), ("a", "~"), ("c", ""))


def test_a_headers_values_are_found_whatever_the_case_of_its_name() -> None:
    request = HttpRequest("GET", "/", "", (("X-A", "1"), ("Host", "h"), ("x-a", "2")))

    assert request.header_values("x-a") == ["1", "2"]
    assert request.header_values("x-b") == []


def test_parameters_that_somebody_has_read_are_not_read_again() -> None:
    read = (("b", "1"),)
    assert HttpRequest("GET", "/", "a=2", (), read=read).parameters is read
