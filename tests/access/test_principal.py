"""What the audit trail says of who called, and what conditions can ask about it."""

import pytest

from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.iam import PolicySet

ACCOUNT = "123456789012"


def test_a_user_is_an_iam_user_with_its_name() -> None:
    alice = Principal(
        arn=f"arn:aws:iam::{ACCOUNT}:user/ops/alice",
        account=ACCOUNT,
        type=PrincipalType.USER,
        user_id="AIDAALICE",
        user_name="alice",
        access_key_id="AKIAALICE",
    )
    assert alice.user_identity() == {
        "type": "IAMUser",
        "principalId": "AIDAALICE",
        "arn": "arn:aws:iam::123456789012:user/ops/alice",
        "accountId": "123456789012",
        "accessKeyId": "AKIAALICE",
        "userName": "alice",
    }


def test_the_root_user_has_the_account_for_an_id_and_no_name() -> None:
    assert nameless(PrincipalType.ROOT).user_identity() == {
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": "arn:aws:iam::123456789012:root",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIAROOT",
    }


@pytest.mark.parametrize("type_", list(PrincipalType))
def test_every_type_of_principal_has_a_name_in_the_audit_trail(type_: PrincipalType) -> None:
    assert nameless(type_).user_identity()["type"]


def test_a_caller_has_its_principals_keys_and_tags() -> None:
    principal = Principal(
        arn="arn:aws:iam::123456789012:user/alice",
        account="123456789012",
        type=PrincipalType.USER,
        user_id="AIDAALICE",
        user_name="alice",
        access_key_id="AKIAALICE",
        tags={"Team": "ops"},
    )
    assert Caller(principal, PolicySet()).keys == {
        "aws:PrincipalArn": "arn:aws:iam::123456789012:user/alice",
        "aws:PrincipalAccount": "123456789012",
        "aws:PrincipalType": "User",
        "aws:userid": "AIDAALICE",
        "aws:username": "alice",
        "aws:PrincipalTag/Team": "ops",
    }


def test_the_root_user_has_no_name_to_ask_about() -> None:
    assert Caller(nameless(PrincipalType.ROOT), PolicySet()).keys == {
        "aws:PrincipalArn": "arn:aws:iam::123456789012:root",
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": "Account",
        "aws:userid": ACCOUNT,
    }


def nameless(type_: PrincipalType) -> Principal:
    return Principal(
        arn=f"arn:aws:iam::{ACCOUNT}:root",
        account=ACCOUNT,
        type=type_,
        user_id=ACCOUNT,
        user_name=None,
        access_key_id="AKIAROOT",
    )
