"""What each error says, to the caller and to whoever handles it."""

from datetime import UTC, datetime

import pytest

from hatchway.sigv4.errors import (
    ExpiredToken,
    IncompleteSignature,
    MissingAuthenticationToken,
    RequestExpired,
    SignatureDoesNotMatch,
    SignatureError,
    UnknownAccessKey,
    WrongScope,
)

NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            MissingAuthenticationToken(),
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        (IncompleteSignature("No date.", ("X-Amz-Date",)), "IncompleteSignature", "No date."),
        (
            SignatureDoesNotMatch(),
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        ),
        (SignatureDoesNotMatch("Two hosts."), "SignatureDoesNotMatch", "Two hosts."),
        (
            WrongScope("region", "mars", "us-east-1"),
            "SignatureDoesNotMatch",
            "Credential should be scoped to region us-east-1, not 'mars'.",
        ),
        (
            RequestExpired(NOW, LATER),
            "RequestExpired",
            "Signature expired: it was made at 20261124T061723Z, and it is 20261124T070000Z. "
            "Check the clock of the client.",
        ),
        (
            RequestExpired(LATER, NOW),
            "RequestExpired",
            "Signature not yet current: it was made at 20261124T070000Z, and it is 20261124T061723Z. "
            "Check the clock of the client.",
        ),
        (ExpiredToken(), "ExpiredToken", "The security token included in the request is expired"),
        (
            UnknownAccessKey("AKIA1"),
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SignatureError) else "",
)
def test_an_error_has_the_code_of_aws_and_a_text_for_the_caller(
    error: SignatureError, code: str, text: str
) -> None:
    assert isinstance(error, SignatureError)
    assert (error.code, str(error)) == (code, text)


def test_what_the_caller_wrote_is_repeated_in_part_and_kept_whole() -> None:
    error = WrongScope("service", "x" * 1000, "ec2")

    assert str(error) == f"Credential should be scoped to service ec2, not '{'x' * 64}'."
    assert (error.part, error.given) == ("service", "x" * 1000)


def test_an_error_keeps_what_it_is_about() -> None:
    assert IncompleteSignature("No date.", ("X-Amz-Date",)).missing == ("X-Amz-Date",)
    assert IncompleteSignature("Malformed.").missing == ()
    assert (RequestExpired(NOW, LATER).signed_at, RequestExpired(NOW, LATER).now) == (NOW, LATER)
    assert UnknownAccessKey("AKIA1").access_key_id == "AKIA1"
    assert "AKIA1" not in str(UnknownAccessKey("AKIA1"))
