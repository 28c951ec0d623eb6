"""The account: which names its gateways' certificates have, and which texts may be its alias."""

import pytest

from hatchway.domain.account import ALIAS, certificate_name


@pytest.mark.parametrize(
    ("gateway", "certificate"),
    [
        ("gateway.example.com", "gateway.example.com"),
        ("{endpoint_id}.gateway.example.com", "*.gateway.example.com"),
    ],
)
def test_gateways_of_a_pattern_have_one_certificate(gateway: str, certificate: str) -> None:
    assert certificate_name(gateway) == certificate


@pytest.mark.parametrize("alias", ["abc", "a-b", "123", "a" * 63, "a-1-b"])
def test_an_alias_is_of_lower_case_letters_digits_and_single_hyphens(alias: str) -> None:
    assert ALIAS.fullmatch(alias)


@pytest.mark.parametrize("alias", ["", "ab", "a" * 64, "-ab", "ab-", "a--b", "Abc", "a.b", "abc\n", "äbc"])
def test_no_other_text_is_one(alias: str) -> None:
    assert not ALIAS.fullmatch(alias)
