"""What the audit trail says of who called."""

import pytest

from hatchway.access.principal import Principal, PrincipalType

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


def nameless(type_: PrincipalType) -> Principal:
    return Principal(
        arn=f"arn:aws:iam::{ACCOUNT}:root",
        account=ACCOUNT,
        type=type_,
        user_id=ACCOUNT,
        user_name=None,
        access_key_id="AKIAROOT",
    )
