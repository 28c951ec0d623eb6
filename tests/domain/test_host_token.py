"""Host tokens: one spelling each, and a hash that tells nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.domain.bearer_token import BearerToken, InvalidToken
from hatchway.domain.host_token import HOST_TOKEN

INSTANCE_ID = "i-0123456789abcdef0"
SECRET = bytes(range(32))
TOKEN = "hwh_i-0123456789abcdef0_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_a_token_names_its_instance() -> None:
    assert HOST_TOKEN.write(BearerToken(INSTANCE_ID, SECRET)) == TOKEN
    assert HOST_TOKEN.read(TOKEN) == BearerToken(INSTANCE_ID, SECRET)


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"i-[0-9a-zA-Z]{1,32}", fullmatch=True))
def test_every_token_is_read_back(secret: bytes, instance_id: str) -> None:
    token = BearerToken(instance_id, secret)
    assert HOST_TOKEN.read(HOST_TOKEN.write(token)) == token


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
    with pytest.raises(InvalidToken) as caught:
        HOST_TOKEN.read(text)
    assert str(caught.value) == "not a host token"


def test_only_the_very_token_matches_its_hash() -> None:
    stored = HOST_TOKEN.hash(BearerToken(INSTANCE_ID, SECRET))
    assert len(stored) == 32
    assert SECRET not in stored
    assert HOST_TOKEN.matches(BearerToken(INSTANCE_ID, SECRET), stored)
    assert not HOST_TOKEN.matches(BearerToken("i-0123456789abcdef1", SECRET), stored)
    assert not HOST_TOKEN.matches(BearerToken(INSTANCE_ID, SECRET[::-1]), stored)
    assert not HOST_TOKEN.matches(BearerToken(INSTANCE_ID, SECRET), b"")


@pytest.mark.parametrize(
    ("instance_id", "secret"), [(INSTANCE_ID, SECRET[:31]), (INSTANCE_ID, b""), ("web-1", SECRET)]
)
def test_a_token_needs_a_whole_secret_and_an_instance_id(instance_id: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match=r"secret|instance id"):
        HOST_TOKEN.write(BearerToken(instance_id, secret))


def test_the_secret_is_not_in_the_repr() -> None:
    assert "\\x" not in repr(BearerToken(INSTANCE_ID, SECRET))
