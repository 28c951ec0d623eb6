"""What the audit trail says of who called, and what conditions can ask about it."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hatchway.access.principal import Caller, Issuer, Principal, PrincipalType
from hatchway.domain.session import Session, SessionKind
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


ISSUED = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)
SESSION = Session(
    access_key_id="ASIA1",
    kind=SessionKind.ROLE,
    owner_name="on-call",
    owner_id="AROAONCALL",
    name="alice",
    token_hash=bytes(32),
    issued_at=ISSUED,
    expires_at=ISSUED + timedelta(hours=1),
)
ROLE = Issuer(
    arn=f"arn:aws:iam::{ACCOUNT}:role/ops/on-call", id="AROAONCALL", name="on-call", max_session_duration=3600
)


def assumed(**changes: Any) -> Principal:
    return Principal(
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/on-call/alice",
        account=ACCOUNT,
        type=PrincipalType.ASSUMED_ROLE,
        user_id="AROAONCALL:alice",
        user_name=None,
        access_key_id="ASIA1",
        session=replace(SESSION, **changes),
        issuer=ROLE,
    )


def test_behind_the_sessions_of_roles_is_the_user_who_made_them_or_else_the_role() -> None:
    alice = nameless(PrincipalType.USER)
    assert alice.maker_id == alice.user_id
    assert assumed(made_by="AIDAALICE").maker_id == "AIDAALICE"
    assert assumed().maker_id == "AROAONCALL"
    assert replace(assumed(), session=None).maker_id == "AROAONCALL"


def test_a_role_s_session_is_told_with_its_role() -> None:
    assert assumed().user_identity() == {
        "type": "AssumedRole",
        "principalId": "AROAONCALL:alice",
        "arn": "arn:aws:sts::123456789012:assumed-role/on-call/alice",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIA1",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAONCALL",
                "arn": "arn:aws:iam::123456789012:role/ops/on-call",
                "accountId": ACCOUNT,
                "userName": "on-call",
            },
            "attributes": {"creationDate": "2026-11-24T12:00:00Z", "mfaAuthenticated": "false"},
        },
    }
    context = assumed(source_identity="alice", mfa_authenticated_at=ISSUED).user_identity()["sessionContext"]
    assert context["sourceIdentity"] == "alice"
    assert context["attributes"]["mfaAuthenticated"] == "true"


def test_a_role_s_session_has_the_role_s_arn_and_the_time_of_its_token_to_ask_about() -> None:
    keys = {
        "aws:PrincipalArn": "arn:aws:iam::123456789012:role/ops/on-call",
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": "AssumedRole",
        "aws:userid": "AROAONCALL:alice",
        "aws:TokenIssueTime": "2026-11-24T12:00:00Z",
        "aws:MultiFactorAuthPresent": "false",
    }
    assert assumed().condition_keys() == keys
    told = assumed(source_identity="alice", mfa_authenticated_at=ISSUED).condition_keys()
    assert told == {**keys, "aws:SourceIdentity": "alice", "aws:MultiFactorAuthPresent": "true"}


def test_look_ups_call_a_user_by_its_name_and_a_role_s_session_by_that_of_the_session() -> None:
    assert assumed().trail_name == "alice"
    assert replace(assumed(), issuer=None, user_name="bob").trail_name == "bob"
    assert nameless(PrincipalType.ROOT).trail_name is None


def test_a_session_of_a_user_has_no_issuer() -> None:
    session = replace(nameless(PrincipalType.ROOT), session=replace(SESSION, kind=SessionKind.ROOT))
    assert session.user_identity()["sessionContext"].keys() == {"attributes"}


def nameless(type_: PrincipalType) -> Principal:
    return Principal(
        arn=f"arn:aws:iam::{ACCOUNT}:root",
        account=ACCOUNT,
        type=type_,
        user_id=ACCOUNT,
        user_name=None,
        access_key_id="AKIAROOT",
    )


def test_times_are_in_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    told = assumed().condition_keys()["aws:TokenIssueTime"]
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XYZ-9")
        time.tzset()
        assert assumed().condition_keys()["aws:TokenIssueTime"] == told
    time.tzset()
