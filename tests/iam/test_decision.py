"""A decision as data: what decided, AWS's sentence for a refusal, and its JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hatchway.iam import (
    AppliedStatement,
    Decision,
    Effect,
    Layer,
    LayerOutcome,
    Named,
    NearMiss,
    Outcome,
)

ALICE = "arn:aws:iam::123456789012:user/alice"
ENDPOINT = "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-1"
SUBNET = "arn:aws:ec2:us-east-1:123456789012:subnet/a"
TUNNEL = "ec2-instance-connect:OpenTunnel"

ALLOWING = AppliedStatement("p", Layer.IDENTITY, "Yes", 0, Effect.ALLOW, ENDPOINT)
DENYING = AppliedStatement("q", Layer.BOUNDARY, None, 1, Effect.DENY, SUBNET, "NotResource: a note")
MISSED = NearMiss("r", Layer.SESSION, "Ports", 2, Effect.ALLOW, "Resource", (ENDPOINT, SUBNET), ("*",), "so")

REFUSED = Decision(
    Outcome.EXPLICIT_DENY,
    Layer.BOUNDARY,
    TUNNEL,
    (ENDPOINT,),
    (SUBNET,),
    (LayerOutcome(Layer.BOUNDARY, Outcome.EXPLICIT_DENY), LayerOutcome(Layer.IDENTITY, Outcome.ALLOWED)),
    (ALLOWING, DENYING),
    (MISSED,),
)
ALLOWED = Decision(Outcome.ALLOWED, None, TUNNEL, (ENDPOINT,), applied=(ALLOWING,), named=Named.PRINCIPAL)
AMBIGUOUS = Decision(
    Outcome.IMPLICIT_DENY, Layer.IDENTITY, TUNNEL, ("*",), ambiguous_keys=("aws:UserName", "aws:username")
)


def test_what_decided_are_the_denies_of_a_deny_and_the_allows_of_what_is_allowed() -> None:
    assert REFUSED.deciding == (DENYING,)
    assert ALLOWED.deciding == (ALLOWING,)
    assert REFUSED._replace(outcome=Outcome.IMPLICIT_DENY).deciding == ()
    assert (REFUSED.allowed, ALLOWED.allowed, AMBIGUOUS.allowed) == (False, True, False)


@pytest.mark.parametrize(
    ("layer", "explicit", "implicit"),
    [
        (Layer.GUARDRAIL, "a service control policy", "no service control policy"),
        (Layer.BOUNDARY, "a permissions boundary", "no permissions boundary"),
        (Layer.SESSION, "a session policy", "no session policy"),
        (Layer.IDENTITY, "an identity-based policy", "no identity-based policy"),
        (Layer.TRUST, "the role trust policy", "no role trust policy"),
    ],
)
def test_a_refusal_reads_as_aws_words_it(layer: Layer, explicit: str, implicit: str) -> None:
    opening = f"User: {ALICE} is not authorized to perform: {TUNNEL} on resource:"
    denied = REFUSED._replace(layer=layer)
    assert denied.sentence(ALICE) == f"{opening} {SUBNET} with an explicit deny in {explicit}"
    missing = denied._replace(outcome=Outcome.IMPLICIT_DENY)
    assert missing.sentence(ALICE) == f"{opening} {ENDPOINT} because {implicit} allows the {TUNNEL} action"


NEAR = NearMiss("connect", Layer.IDENTITY, None, 2, Effect.ALLOW, "Condition Bool k", (), ("true",))


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (ALLOWED, ""),
        (AMBIGUOUS, "the request has aws:UserName and aws:username, which differ by case alone"),
        (REFUSED, f"q Statement[1] denies {TUNNEL}"),
        (REFUSED._replace(applied=()), f"{TUNNEL} is denied"),
        (
            Decision(Outcome.IMPLICIT_DENY, Layer.SESSION, TUNNEL, ("*",), near_misses=(NEAR, MISSED)),
            f"r Ports does not allow {TUNNEL}: Resource: request {ENDPOINT}, {SUBNET}, policy * (so)",
        ),
        (
            Decision(Outcome.IMPLICIT_DENY, Layer.IDENTITY, TUNNEL, ("*",), near_misses=(NEAR,)),
            f"connect Statement[2] does not allow {TUNNEL}:"
            " Condition Bool k: request has no value, policy true",
        ),
        (
            Decision(Outcome.IMPLICIT_DENY, Layer.BOUNDARY, TUNNEL, ("*",), near_misses=(NEAR,)),
            f"no permissions boundary allows {TUNNEL}",
        ),
    ],
)
def test_a_refusal_s_reason_is_a_line_that_names_what_denied_or_came_nearest(
    decision: Decision, reason: str
) -> None:
    assert decision.reason == reason
    unnamed = replace(DENYING, policy="", sid="S")
    denied = Decision(Outcome.EXPLICIT_DENY, Layer.IDENTITY, TUNNEL, ("*",), applied=(unnamed,))
    assert denied.reason == f"(unnamed) S denies {TUNNEL}"
    a_deny = replace(NEAR, effect=Effect.DENY)
    nothing = Decision(Outcome.IMPLICIT_DENY, Layer.IDENTITY, TUNNEL, ("*",), near_misses=(a_deny,))
    assert nothing.reason == f"no identity-based policy allows {TUNNEL}"


def test_what_is_allowed_has_no_refusal_to_tell() -> None:
    with pytest.raises(ValueError, match=r"^an allowed request has no refusal to tell$"):
        ALLOWED.sentence(ALICE)


def test_a_near_miss_tells_both_sides_and_the_note() -> None:
    assert MISSED.why == f"Resource: request {ENDPOINT}, {SUBNET}, policy * (so)"
    bare = NearMiss("r", Layer.IDENTITY, None, 0, Effect.ALLOW, "Condition Bool x:y", (), ("true", "false"))
    assert bare.why == "Condition Bool x:y: request has no value, policy true, false"


JSON: dict[str, Any] = {
    "outcome": "explicitDeny",
    "layer": "boundary",
    "action": TUNNEL,
    "resources": [ENDPOINT],
    "denyAlso": [SUBNET],
    "layers": [
        {"layer": "boundary", "outcome": "explicitDeny"},
        {"layer": "identity", "outcome": "allowed"},
    ],
    "deciding": [
        {
            "policy": "q",
            "layer": "boundary",
            "sid": None,
            "index": 1,
            "effect": "Deny",
            "resource": SUBNET,
            "note": "NotResource: a note",
        }
    ],
    "applied": [
        {
            "policy": "p",
            "layer": "identity",
            "sid": "Yes",
            "index": 0,
            "effect": "Allow",
            "resource": ENDPOINT,
        },
        {
            "policy": "q",
            "layer": "boundary",
            "sid": None,
            "index": 1,
            "effect": "Deny",
            "resource": SUBNET,
            "note": "NotResource: a note",
        },
    ],
    "nearMisses": [
        {
            "policy": "r",
            "layer": "session",
            "sid": "Ports",
            "index": 2,
            "effect": "Allow",
            "element": "Resource",
            "request": [ENDPOINT, SUBNET],
            "expected": ["*"],
            "note": "so",
            "why": f"Resource: request {ENDPOINT}, {SUBNET}, policy * (so)",
        }
    ],
    "named": None,
}


def test_a_decision_is_json_of_this_shape_for_trails_and_clients() -> None:
    assert REFUSED.to_json() == JSON
    assert {type(JSON["outcome"]), type(JSON["layer"])} == {str}
    assert json.loads(json.dumps(REFUSED.to_json())) == JSON
    assert (ALLOWED.to_json()["layer"], ALLOWED.to_json()["named"]) == (None, "principal")
    assert "ambiguousKeys" not in JSON
    assert AMBIGUOUS.to_json()["ambiguousKeys"] == ["aws:UserName", "aws:username"]


@pytest.mark.parametrize("decision", [REFUSED, ALLOWED, AMBIGUOUS])
def test_a_decision_reads_back_the_same(decision: Decision) -> None:
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_what_is_no_decision_is_refused() -> None:
    for broken, error in (
        (JSON | {"outcome": "perhaps"}, ValueError),
        ({name: value for name, value in JSON.items() if name != "layers"}, KeyError),
        (JSON | {"applied": [None]}, TypeError),
        (JSON | {"nearMisses": [{**miss, "request": [None]} for miss in JSON["nearMisses"]]}, TypeError),
    ):
        with pytest.raises(error):
            Decision.from_json(broken)
