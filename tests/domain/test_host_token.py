"""Host tokens: one spelling each, and a hash that tells nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.domain.host_token import (
    HostSecret,
    InvalidHostToken,
    format_host_token,
    hash_host_token,
    host_token_matches,
    parse_host_token,
)

INSTANCE_ID = "i-0123456789abcdef0"
SECRET = bytes(range(32))
TOKEN = "hwh_i-0123456789abcdef0_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_a_token_names_its_instance() -> None:
    assert format_host_token(INSTANCE_ID, SECRET) == TOKEN
    assert parse_host_token(TOKEN) == HostSecret(INSTANCE_ID, SECRET)


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"i-[0-9a-zA-Z]{1,32}", fullmatch=True))
def test_every_token_is_read_back(secret: bytes, instance_id: str) -> None:
    assert parse_host_token(format_host_token(instance_id, secret)) == HostSecret(instance_id, secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN.upper(),
        TOKEN[:-1] + "9",
        TOKEN.replace("hwh", "xyz"),
        TOKEN.replace(INSTANCE_ID, "eice-1"),
        TOKEN.replace(INSTANCE_ID, "i-"),
        TOKEN.replace("AA", "é" * 2),
        "hwh_" * 100_000,
    ],
)
def test_what_is_no_token_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidHostToken) as caught:
        parse_host_token(text)
    assert str(caught.value) == "not a host token"


def test_only_the_very_token_matches_its_hash() -> None:
    stored = hash_host_token(HostSecret(INSTANCE_ID, SECRET))
    assert len(stored) == 32
    assert SECRET not in stored
    assert host_token_matches(HostSecret(INSTANCE_ID, SECRET), stored)
    assert not host_token_matches(HostSecret("i-0123456789abcdef1", SECRET), stored)
    assert not host_token_matches(HostSecret(INSTANCE_ID, SECRET[::-1]), stored)
    assert not host_token_matches(HostSecret(INSTANCE_ID, SECRET), b"")


@pytest.mark.parametrize(
    ("instance_id", "secret"), [(INSTANCE_ID, SECRET[:31]), (INSTANCE_ID, b""), ("web-1", SECRET)]
)
def test_a_token_needs_a_whole_secret_and_an_instance_id(instance_id: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match=r"secret|instance id"):
        format_host_token(instance_id, secret)


def test_the_secret_is_not_in_the_repr() -> None:
    assert "\\x" not in repr(HostSecret(INSTANCE_ID, SECRET))
