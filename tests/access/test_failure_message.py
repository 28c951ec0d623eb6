"""An encoded failure message tells its bearer nothing, not even by its length."""

import json
import os
from typing import Any

import pytest

from hatchway.access.authorization import AccessDenied, Check, authorize
from hatchway.access.failure_message import SIZE, decode_failure_message, encode_failure_message
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.access.vault import Unsealable, Vault
from hatchway.iam import PolicySet, parse_policy

VAULT = Vault(bytes(32))


def denied(*statements: dict[str, Any], user_agent: str = "", name: str = "alice") -> AccessDenied:
    principal = Principal(
        arn=f"arn:aws:iam::123456789012:user/{name}",
        account="123456789012",
        type=PrincipalType.USER,
        user_id="AIDA",
        user_name=name,
        access_key_id="AKIA",
    )
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    caller = Caller(principal, PolicySet(identity=(parse_policy(document, name="given"),)))
    with pytest.raises(AccessDenied) as caught:
        authorize(caller, [Check("ec2:DescribeVpcs")], {"aws:UserAgent": user_agent})
    return caught.value


def needs(user_agent: str, sid: str = "one") -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": "ec2:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:UserAgent": user_agent}},
    }


def test_every_message_has_one_length_whatever_the_caller_and_the_policies_say() -> None:
    secret = "corporate-agent/7.3.1"
    guesses = [secret[:size] for size in range(len(secret))] + ["x" * size for size in range(0, 1024, 37)]
    refusals = [denied(needs(secret), user_agent=guess) for guess in guesses]
    refusals += [denied(*(needs(secret * 9, f"s{number}") for number in range(size))) for size in (1, 5, 40)]
    refusals += [denied(needs(secret), name="a" * size) for size in (1, 64, 2000)]
    refusals += [denied(needs("é" * 900), user_agent="é" * 1024)]
    assert len({len(encode_failure_message(VAULT, refusal)) for refusal in refusals}) == 1


def test_a_message_holds_all_of_a_decision_of_ordinary_size() -> None:
    refusal = denied(needs("corporate"), user_agent="curl")
    decoded = decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))
    assert decoded == {"principal": refusal.principal.arn, **refusal.authorization.to_json()}


@pytest.mark.parametrize("statements", [20, 400])
def test_of_a_large_decision_it_holds_what_decides_and_says_that_there_is_more(statements: int) -> None:
    refusal = denied(*(needs("a" * 60, f"s{number}") for number in range(statements)))
    decoded = decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))
    assert "audit trail" in decoded["omitted"]
    (check,) = decoded["checks"]
    assert (check["outcome"], check["action"]) == ("implicitDeny", "ec2:DescribeVpcs")
    assert 1 <= len(check["nearMisses"]) < statements


def test_what_this_installation_did_not_encode_is_not_decoded() -> None:
    message = encode_failure_message(Vault(os.urandom(32)), denied(needs("x")))
    forged = VAULT.seal(b"{}".ljust(SIZE), "authorization failure message")
    for text in (message, "", "é", message[:-8], forged.hex()):
        with pytest.raises(Unsealable):
            decode_failure_message(VAULT, text)


def test_names_that_have_no_room_are_cut() -> None:
    refusal = denied(needs("x"), name="a" * 3000)
    decoded = decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))
    assert decoded["principal"] == refusal.principal.arn[:200]
    assert "audit trail" in decoded["omitted"]
    assert decoded["checks"] == [
        {
            "outcome": "implicitDeny",
            "action": "ec2:DescribeVpcs",
            "resources": ["*"],
            "layer": "identity",
            "deciding": [],
            "nearMisses": [],
        }
    ]
