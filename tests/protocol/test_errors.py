"""The one error of a service."""

from hatchway.protocol.errors import ServiceError


def test_it_has_what_the_api_says_of_a_failure_and_reads_as_one_line() -> None:
    error = ServiceError("NoSuchEntity", "There is no such user.", 404, {"Name": "alice"})

    assert (error.code, error.message, error.status) == ("NoSuchEntity", "There is no such user.", 404)
    assert error.fields == {"Name": "alice"}
    assert str(error) == "NoSuchEntity: There is no such user."


def test_status_and_fields_may_be_left_to_the_model() -> None:
    error = ServiceError("NoSuchEntity", "")

    assert error.status is None
    assert error.fields == {}
