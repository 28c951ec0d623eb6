"""Single values, from the text of a form and back to a client."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hatchway.protocol.text import (
    READERS,
    UnreadableError,
    check_integer,
    check_result,
    read_string,
    without_unprintable,
)


def test_text_loses_what_xml_cannot_carry() -> None:
    assert without_unprintable("a\0b\ud800\ufffe\t\r\nc\U0001f600") == "ab\t\r\nc\U0001f600"


def test_text_that_xml_could_not_give_back_is_not_taken() -> None:
    assert read_string("é\t\U0001f600") == "é\t\U0001f600"
    for text in ("a\0", "\ud800", "\uffff"):
        with pytest.raises(UnreadableError, match="contain no control characters"):
            read_string(text)


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("string", "a", "a"),
        ("boolean", "true", True),
        ("boolean", "FALSE", False),
        ("integer", "-2147483648", -(1 << 31)),
        ("integer", "2147483647", (1 << 31) - 1),
        ("long", "9223372036854775807", (1 << 63) - 1),
        ("float", "1.5", 1.5),
        ("double", "-1e3", -1000.0),
        ("timestamp", "2026-11-24T06:17:23Z", datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)),
        ("timestamp", "2026-11-24T07:17:23.5+01:00", datetime(2026, 11, 24, 6, 17, 23, 500_000, tzinfo=UTC)),
        ("blob", "AAE=", b"\0\1"),
    ],
)
def test_a_value_is_read_as_its_type(type_name: str, text: str, value: Any) -> None:
    assert READERS[type_name](text) == value


@pytest.mark.parametrize(
    ("type_name", "text", "demand"),
    [
        ("boolean", "yes", "be true or false"),
        ("integer", "1.0", "be an integer"),
        ("integer", "\u0661", "be an integer"),
        ("integer", "2147483648", "be an integer of 32 bits"),
        ("long", "1e3", "be an integer"),
        ("long", "9223372036854775808", "be an integer of 64 bits"),
        ("long", "1" * 20, "be an integer"),
        ("float", "many", "be a number"),
        ("double", "inf", "be a number"),
        ("timestamp", "yesterday", "be a date and time such as 2006-01-02T15:04:05Z"),
        ("timestamp", "2026-13-24T06:17:23Z", "be a date and time such as 2006-01-02T15:04:05Z"),
        ("timestamp", "0001-01-01T00:00:00+01:00", "be a date and time such as 2006-01-02T15:04:05Z"),
        ("blob", "é", "be base64"),
        ("blob", "A", "be base64"),
    ],
)
def test_text_of_another_type_is_unreadable_and_it_is_said_what_it_must_be(
    type_name: str, text: str, demand: str
) -> None:
    with pytest.raises(UnreadableError) as unreadable:
        READERS[type_name](text)

    assert str(unreadable.value) == demand


def test_an_integer_fits_its_bits() -> None:
    assert check_integer(-(1 << 63), "long") == -(1 << 63)
    with pytest.raises(UnreadableError, match="64 bits"):
        check_integer(1 << 63, "long")


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("string", "a"),
        ("boolean", True),
        ("integer", 1),
        ("float", 1),
        ("timestamp", datetime(2026, 1, 1, tzinfo=UTC)),
        ("list", ("a",)),
        ("map", {}),
    ],
)
def test_a_result_of_the_models_type_passes(type_name: str, value: Any) -> None:
    check_result(type_name, value, "here")


@pytest.mark.parametrize(
    ("type_name", "value", "message"),
    [
        ("integer", True, "here is a integer in the service model, not a bool"),
        ("string", b"a", "here is a string in the service model, not a bytes"),
        ("list", "a", "here is a list in the service model, not a str"),
        ("timestamp", datetime(2026, 1, 1), "here must be an aware datetime"),
    ],
)
def test_any_other_result_is_the_programs_fault(type_name: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError) as fault:
        check_result(type_name, value, "here")

    assert str(fault.value) == message
