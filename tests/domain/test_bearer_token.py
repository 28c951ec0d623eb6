"""Tokens that hosts hold: how each kind is written is told from the other."""

import re

import pytest

from hatchway.domain.bearer_token import BearerToken, InvalidToken, TokenForm

FORM = TokenForm("hwx", re.compile(r"x-[0-9]{1,4}"), "box", "box token")
TOKEN = BearerToken("x-12", bytes(range(32)))
TEXT = "hwx_x-12_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_a_token_is_written_and_read_back() -> None:
    assert FORM.write(TOKEN) == TEXT
    assert FORM.read(TEXT) == TOKEN
    assert "\\x" not in repr(TOKEN)


@pytest.mark.parametrize(
    "text", ["", TEXT[:-1], f"{TEXT}\n", TEXT[:-1] + "9", TEXT.replace("hwx", "hwy"), "é"]
)
def test_what_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidToken, match=r"\Anot a box token\Z"):
        FORM.read(text)


def test_only_the_very_token_matches_its_hash() -> None:
    stored = FORM.hash(TOKEN)
    assert len(stored) == 32
    assert FORM.matches(TOKEN, stored)
    assert not FORM.matches(BearerToken("x-13", TOKEN.secret), stored)
    assert not FORM.matches(TOKEN, b"")


def test_a_token_needs_an_id_of_its_kind_and_a_whole_secret() -> None:
    with pytest.raises(ValueError, match=r"\A'y-1' is not an box id\Z"):
        FORM.write(BearerToken("y-1", TOKEN.secret))
    with pytest.raises(ValueError, match=r"\Athe secret of a box token has 32 bytes, not 31\Z"):
        FORM.write(BearerToken("x-1", TOKEN.secret[1:]))
