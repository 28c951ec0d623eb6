"""Temporary credentials: when they are good, and whether they have policies of their own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hatchway.domain.session import Session, SessionKind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SESSION = Session(
    access_key_id="ASIA1",
    kind=SessionKind.USER,
    owner_name="alice",
    owner_id="AIDAALICE",
    name=None,
    token_hash=bytes(32),
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)


def test_a_session_is_good_until_it_expires() -> None:
    assert SESSION.good_at(NOW + timedelta(minutes=59, seconds=59))
    assert not SESSION.good_at(NOW + timedelta(hours=1))


def test_a_session_with_a_policy_of_either_kind_is_restricted() -> None:
    assert not SESSION.restricted
    assert replace(SESSION, policy="{}").restricted
    assert replace(SESSION, policy_arns=("arn:aws:iam::123456789012:policy/p",)).restricted


def test_a_session_does_not_show_what_is_kept_of_its_token() -> None:
    assert "token_hash" not in repr(SESSION)
