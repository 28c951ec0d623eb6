"""What became of a call, by its event."""

from collections.abc import Iterator
from typing import Any

import pytest

from hatchway.control.services import DIALECTS
from hatchway.errors import BadUsage
from hatchway.policies.events import DENIALS, read_event, read_listed
from hatchway.sigv4.errors import SignatureError

UNKNOWN = {"type": "Unknown", "accessKeyId": "AKIAINVENTED"}
ALICE = {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::123456789012:user/alice"}


def verdict(code: str | None, identity: dict[str, str] = UNKNOWN) -> str:
    event = {"eventID": "1", "userIdentity": identity}
    return read_event(event if code is None else {**event, "errorCode": code}).verdict


def kinds(kind: type[SignatureError]) -> Iterator[type[SignatureError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from kinds(each)


@pytest.mark.parametrize("identity", [UNKNOWN, ALICE])
def test_whoever_may_not_or_has_not_proved_who_he_is_was_denied_in_the_words_of_each_service(
    identity: dict[str, str],
) -> None:
    codes = {each.code for each in kinds(SignatureError)} | {each.denied for each in DIALECTS.values()}
    # EC2 has one word for all signatures, but for those of credentials that have expired.
    codes |= {"Client.AuthFailure", "Client.RequestExpired", "Client.UnauthorizedOperation"}
    # The trail has AccessDenied for it.
    codes.remove("AuthException")
    assert {verdict(code, identity) for code in codes} == {"denied"}
    assert {code.removeprefix("Client.") for code in codes} == DENIALS


@pytest.mark.parametrize("identity", [UNKNOWN, ALICE])
@pytest.mark.parametrize(
    "code",
    ["InvalidAction", "Client.InvalidAction", "Throttling", "Client.RequestLimitExceeded",
     "ServiceUnavailable", "Server.InternalError", "ValidationException", "NoSuchEntity"],
)  # fmt: skip
def test_what_could_not_be_done_for_another_reason_has_failed_whoever_asked(
    code: str, identity: dict[str, str]
) -> None:
    assert verdict(code, identity) == "failed"


def test_what_was_done_is_ok() -> None:
    assert verdict(None, ALICE) == "ok"


def test_what_the_network_refused_says_so_and_counts_as_denied() -> None:
    explained = read_event({"eventID": "1", "additionalEventData": {"network": "no rule lets it in"}})
    assert (explained.reason, explained.verdict) == ("the network: no rule lets it in", "denied")


@pytest.mark.parametrize(
    "decision", [{"checks": [{"unknown": 1}]}, {"checks": ["text"]}, ["checks"], "checks", 5]
)
def test_a_decision_as_another_version_has_written_it_is_said_to_be_that(decision: Any) -> None:
    event = {"eventID": "7", "errorCode": "AccessDenied", "additionalEventData": {"decision": decision}}
    with pytest.raises(BadUsage, match="event 7 was written by another version"):
        read_event(event)
    # Of many it hides no other.
    listed = read_listed(event)
    assert (listed.verdict, listed.decisions) == ("denied", ())
