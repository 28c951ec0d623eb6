"""An encoded failure message tells its bearer nothing, not even by its length."""

import json
import os
import re
from typing import Any

import pytest

from hatchway.access.authorization import AccessDenied, Check, authorize
from hatchway.access.failure_message import SIZE, decode_failure_message, encode_failure_message
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.iam import PolicySet, parse_policy
from hatchway.keys.vault import Unsealable, Vault

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


def denies(name: str) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Deny", "Action": "ec2:*", "Resource": "*"}


OMITTED = "for its size: the audit trail has all of it, under the request's id"


@pytest.mark.parametrize(
    ("size", "kept"),
    [(1, 8), (60, 8), (100, 4), (200, 4), (300, 2), (500, 2), (700, 1), (1000, 1), (1300, 0)],
)
def test_of_many_near_misses_it_holds_the_first_that_it_has_room_for(size: int, kept: int) -> None:
    refusal = denied(*(needs("a" * size, f"s{number}") for number in range(20)))
    whole = refusal.authorization.to_json()["checks"][0]
    assert decode_failure_message(VAULT, encode_failure_message(VAULT, refusal)) == {
        "principal": refusal.principal.arn,
        "omitted": OMITTED,
        "checks": [
            {
                "outcome": "implicitDeny",
                "layer": "identity",
                "action": "ec2:DescribeVpcs",
                "deciding": [],
                "nearMisses": whole["nearMisses"][:kept],
                "resources": ["*"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("size", "kept"), [(0, 20), (50, 16), (100, 8), (200, 8), (400, 4), (700, 2), (1300, 2), (1600, 1)]
)
def test_of_many_statements_that_decide_likewise(size: int, kept: int) -> None:
    refusal = denied(*(denies(f"s{number}" + "x" * size) for number in range(20)))
    (check,) = decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))["checks"]
    assert (check["outcome"], check["nearMisses"]) == ("explicitDeny", [])
    assert check["deciding"] == refusal.authorization.to_json()["checks"][0]["deciding"][:kept]


def refused(*checks: Check, **context: str) -> AccessDenied:
    """Of a caller whose statements are all met, and many: tags in two cases are what is refused."""
    alike = [{**denies(f"s{number}"), "Effect": "Allow"} for number in range(40)]
    document = json.dumps({"Version": "2012-10-17", "Statement": alike})
    caller = Caller(denied(needs("x")).principal, PolicySet(identity=(parse_policy(document, name="given"),)))
    with pytest.raises(AccessDenied) as caught:
        authorize(caller, checks, context)
    return caught.value


def test_where_several_checks_have_no_room_it_holds_the_one_that_refused_whole() -> None:
    refusal = refused(Check("ec2:A"), Check("iam:B", ("r" * 500, "s" * 500)))
    assert decode_failure_message(VAULT, encode_failure_message(VAULT, refusal)) == {
        "principal": refusal.principal.arn,
        "omitted": OMITTED,
        "checks": [refusal.authorization.to_json()["checks"][1]],
    }


def test_of_many_resources_it_holds_the_first_and_of_keys_in_two_cases_both() -> None:
    refusal = refused(Check("ec2:A", ("r" * 300, *("s" * 300 for _ in range(20)))), k="a", K="b")
    (check,) = decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))["checks"]
    assert check == {
        "outcome": "implicitDeny",
        "layer": "identity",
        "action": "ec2:A",
        "ambiguousKeys": ["k", "K"],
        "deciding": [],
        "nearMisses": [],
        "resources": ["r" * 200],
    }


def test_a_name_is_whole_as_long_as_there_is_room_without_any_near_miss() -> None:
    refusal = denied(*(needs("a" * 1300, f"s{number}") for number in range(20)), name="a" * 300)
    decoded = decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))
    assert decoded["principal"] == refusal.principal.arn
    assert decoded["checks"][0]["nearMisses"] == []


def test_what_has_just_room_is_left_whole() -> None:
    def omits(size: int) -> bool:
        refusal = denied(needs("x"), name="a" * size)
        return "omitted" in decode_failure_message(VAULT, encode_failure_message(VAULT, refusal))

    refusal = denied(needs("x"), name="")
    whole = {"principal": refusal.principal.arn, **refusal.authorization.to_json()}
    room = SIZE - len(json.dumps(whole, separators=(",", ":")))
    assert not omits(room)
    assert omits(room + 1)


def test_a_message_has_no_character_that_a_shell_or_a_url_minds() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", encode_failure_message(VAULT, denied(needs("x"))))


def test_what_is_no_message_at_all_is_refused_as_such() -> None:
    for text in ("é", "A"):
        with pytest.raises(Unsealable, match=r"^not an encoded authorization failure message$"):
            decode_failure_message(VAULT, text)


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
    assert decoded["omitted"] == OMITTED
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
