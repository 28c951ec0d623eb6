"""Close frames: a code, a reason, and a note where there is room."""

import pytest

from hatchway.transport.websocket.close import MAX_REASON, PROTOCOL_ERROR, Closure


def test_a_payload_is_the_code_and_the_reason_with_the_note_in_brackets() -> None:
    assert Closure(1000).payload("request id 7") == b"\x03\xe8"
    assert Closure(1001, "Going").payload() == b"\x03\xe9Going"
    assert Closure(1001, "Going").payload("request id 7") == b"\x03\xe9Going (request id 7)"


def test_a_note_that_does_not_fit_is_left_out_and_the_reason_stays_whole() -> None:
    reason = "é" * (MAX_REASON // 2)
    assert Closure(1001, reason).payload("7") == b"\x03\xe9" + reason.encode()
    assert len(Closure(1001, "x" * (MAX_REASON - 4)).payload("7")) == 2 + MAX_REASON


def test_an_explanation_goes_before_the_note_and_alone_where_both_do_not_fit() -> None:
    closure = Closure(1011, "No")
    assert closure.payload("id 7", "it is stopped") == b"\x03\xf3No (it is stopped; id 7)"
    assert closure.payload("", "it is stopped") == b"\x03\xf3No (it is stopped)"
    assert closure.payload("id 7", "x" * (MAX_REASON - 6)) == b"\x03\xf3No (" + b"x" * (MAX_REASON - 6) + b")"
    assert closure.payload("id 7", "x" * (MAX_REASON - 4)) == b"\x03\xf3No (id 7)"
    assert Closure(1000).payload("id 7", "it is stopped") == b"\x03\xe8"


def test_a_reason_longer_than_a_close_frame_takes_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="123 bytes"):
        Closure(1001, "é" * (MAX_REASON // 2 + 1))
    assert len(PROTOCOL_ERROR.reason.encode()) <= MAX_REASON
