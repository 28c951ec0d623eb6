"""Why a caller gets no tunnel, and whether it may know."""

from typing import Any

import pytest
from tests.access.test_open_tunnel import ENDPOINT, REQUEST, caller

from hatchway.access.authorization import AccessDenied, authorize
from hatchway.access.explanation import may_know, why_denied
from hatchway.access.open_tunnel import open_tunnel_checks
from hatchway.access.principal import Caller
from hatchway.iam import PolicySet, parse_policy

DURATION = "ec2-instance-connect:maxTunnelDuration"


def why(condition: dict[str, dict[str, Any]], seconds: int = 3600) -> str:
    alice = caller(condition)

    def ask(seconds: int) -> None:
        asked = REQUEST._replace(max_duration=seconds)
        authorize(alice, open_tunnel_checks(asked, ENDPOINT, {}, {}), {})

    def allows(seconds: int) -> bool:
        try:
            ask(seconds)
        except AccessDenied:
            return False
        return True

    with pytest.raises(AccessDenied) as denied:
        ask(seconds)
    return why_denied(alice, denied.value.refusal, seconds, allows)


def test_the_longest_that_is_allowed_is_told() -> None:
    assert why({"NumericLessThanEquals": {DURATION: "600"}}) == (
        "your policies allow it for 600 seconds: give --max-tunnel-duration 600"
    )
    assert why({"NumericLessThan": {DURATION: "600"}}).endswith(" 599")
    assert why({"NumericLessThan": {DURATION: "3600"}}).endswith(" 3599")
    assert "allow it for 1 seconds" in why({"NumericEquals": {DURATION: "1"}})


def test_other_conditions_and_what_is_no_number_yet_hide_no_duration() -> None:
    port = {"ec2-instance-connect:remotePort": "22"}
    durations = {DURATION: ["${aws:PrincipalTag/longest}", "600"]}
    assert why({"NumericEquals": port, "NumericLessThanEquals": durations}).endswith(" 600")


@pytest.mark.parametrize("value", ["0", "-600", "1e300", "0.5"])
def test_what_no_tunnel_could_ask_for_is_not(value: str) -> None:
    assert why({"NumericEquals": {DURATION: value}}).startswith("connect Statement[0] does not allow")


def test_another_reason_is_told_though_the_duration_is_bounded_too() -> None:
    limits = {
        "NumericEquals": {"ec2-instance-connect:remotePort": "3389"},
        "NumericLessThanEquals": {DURATION: "600"},
    }
    assert "remotePort: request 22, policy 3389" in why(limits)
    assert "remotePort: request 22, policy 3389" in why(limits, 300)


@pytest.mark.parametrize(("name", "may"), [("alice", True), ("bob", False), ("*", True)])
def test_whoever_may_ask_about_himself_may_know(name: str, may: bool) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "hatchway:ExplainDenial",
            "Resource": f"arn:aws:iam::123456789012:user/{name}",
        },
    }
    alice = Caller(caller({}).principal, PolicySet(identity=(parse_policy(document, name="p"),)))
    assert may_know(alice, {}) is may
