"""One rule says which characters a text may hold; those who cannot share its code hold to it all the same."""

import json
import sys
import unicodedata

import pytest

from hatchway.domain.text import line_problem, text_problem
from hatchway.iam import MalformedPolicy, parse_policy


def test_controls_separators_of_lines_and_half_surrogates_are_no_text() -> None:
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        refused = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or (
            0xFDD0 <= number <= 0xFDEF or number in {0xFFFE, 0xFFFF}
        )
        assert (line_problem(character) is not None) is refused, hex(number)
        assert (text_problem(character) is not None) is (refused and character not in "\t\n\r"), hex(number)


def test_what_is_wrong_names_the_character_and_never_shows_it() -> None:
    assert text_problem("a\u2028b") == "has the character U+2028, which no text may hold"
    assert line_problem("a\nb") == "has the character U+000A, which no name, tag or description may hold"
    assert text_problem("two\nlines") is None
    assert line_problem("naïve 鍵 🔑") is None


@pytest.mark.parametrize(
    "character", ["\x00", "\n", "\x1f", "\x7f", "\x85", "\u2028", "\u2029", "\ufdd0", "\uffff"]
)
def test_a_policy_s_texts_keep_the_rule(character: str) -> None:
    statement = {"Sid": "s", "Effect": "Allow", "Action": "ec2:Describe*", "Resource": f"a{character}"}
    with pytest.raises(MalformedPolicy, match=f"U\\+{ord(character):04X}"):
        parse_policy(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
