"""Names and ARNs with placeholders, as the facts of services have them."""

import pytest

from hatchway.iam.lint.facts import is_named, template_tokens
from hatchway.iam.patterns import Wildcard

ANY = Wildcard.ANY_RUN


@pytest.mark.parametrize(
    ("template", "tokens"),
    [
        ("", ()),
        ("ec2:region", ("ec2:region",)),
        ("aws:resourcetag/${tagkey}", ("aws:resourcetag/", ANY)),
        ("${a}", (ANY,)),
        ("${a}:${b}:", (ANY, ":", ANY, ":")),
        ("a${b}${c}d", ("a", ANY, ANY, "d")),
        ("${a}b}", (ANY, "b}")),
    ],
)
def test_a_placeholder_stands_for_any_text(template: str, tokens: tuple[str | Wildcard, ...]) -> None:
    assert template_tokens(template) == tokens


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("ec2:region", "ec2:region"),
        ("aws:resourcetag/env", "aws:resourcetag/${tagkey}"),
        ("aws:requesttag/env", "aws:requesttag/${tagkey}"),
        ("aws:resourcetag", None),
        ("ec2:regio", None),
        ("ec2:regions", None),
    ],
)
def test_a_key_is_named_outright_or_by_a_placeholder(key: str, name: str | None) -> None:
    keys = frozenset({"ec2:region", "aws:resourcetag/${tagkey}", "aws:requesttag/${tagkey}"})
    assert is_named(key, keys) == name
    assert is_named(key, dict.fromkeys(keys, "String")) == name
