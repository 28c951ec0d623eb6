"""Replies in JSON: what a client is sent for a result, and for an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.protocol.sample import EVERYTHING, UNLIKE_THE_MODEL, model

from hatchway.protocol import ServiceError, json_reply, load_service


def test_a_json_reply_counts_time_in_seconds() -> None:
    event = {"EventId": "e", "EventTime": datetime(2026, 11, 24, 6, 17, 23, 500_000, tzinfo=UTC)}

    reply = load_service("cloudtrail").render_result("LookupEvents", {"Events": [event, event]}, "request-1")

    assert json.loads(reply.body)["Events"][0] == {"EventId": "e", "EventTime": 1795501043.5}
    assert ("content-type", "application/x-amz-json-1.1") in reply.headers
    assert ("x-amzn-requestid", "request-1") in reply.headers


def test_a_json_error_is_named_in_its_body_and_in_a_header() -> None:
    reply = load_service("ec2-instance-connect").render_error(
        ServiceError("AuthException", "why"), "request-1"
    )

    assert json.loads(reply.body) == {"__type": "AuthException", "Message": "why"}
    assert ("x-amzn-errortype", "AuthException") in reply.headers


@pytest.mark.parametrize(("service", "operation", "result", "error"), UNLIKE_THE_MODEL)
def test_a_result_that_is_not_the_models_is_a_fault_of_the_program(
    service: str, operation: str, result: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        load_service(service).render_result(operation, result, "request-1")


@pytest.mark.parametrize("service", ["ec2", "iam", "ec2-instance-connect"])
def test_an_errors_fields_must_be_the_models(service: str) -> None:
    with pytest.raises(KeyError):
        load_service(service).render_error(
            ServiceError("AuthException", "why", fields={"Colour": "red"}), "r"
        )


def test_each_type_has_its_form_and_what_is_none_is_left_out() -> None:
    assert json.loads(json_reply.result_body(model("json"), "Do", EVERYTHING)) == {
        "spelledOtherwise": "a",
        "Flag": True,
        "Number": 7,
        "Long": 1 << 40,
        "Float": 0.5,
        "Double": 2,
        "When": 1795501043.5,
        "Data": "AAE=",
        "Names": ["a", "b"],
        "Labels": {"ab": "x"},
        "Item": {"Name": "n"},
        "Items": [{"Name": "m"}],
    }


def test_a_time_of_whole_seconds_is_a_whole_number() -> None:
    body = json_reply.result_body(model("json"), "Do", {"When": datetime(2026, 11, 24, tzinfo=UTC)})

    assert body == b'{"When":1795478400}'


def test_an_operation_without_a_result_has_an_empty_one() -> None:
    assert json_reply.result_body(model("json"), "Rest", {}) == b"{}"


def test_an_error_has_its_fields_and_the_name_of_its_message_from_the_model() -> None:
    error = ServiceError("Asleep", "zzz", fields={"Until": "noon"})

    assert json.loads(json_reply.error_body(model("json"), error)) == {
        "__type": "Asleep",
        "message": "zzz",
        "Until": "noon",
    }
