"""Ids look as AWS's do, and what a fleet file names has the same id anywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.domain.ids import ENDPOINT_ID, INSTANCE_ID, Kind, derived_id, new_id


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (Kind.ENDPOINT, r"eice-[0-9a-f]{17}"),
        (Kind.INSTANCE, r"i-[0-9a-f]{17}"),
        (Kind.SECURITY_GROUP, r"sg-[0-9a-f]{17}"),
        (Kind.USER, r"AIDA[A-Z2-7]{17}"),
        (Kind.ACCESS_KEY, r"AKIA[A-Z2-7]{16}"),
    ],
)
@given(randomness=st.binary(min_size=12, max_size=32))
def test_an_id_has_the_form_of_its_kind(kind: Kind, form: str, randomness: bytes) -> None:
    assert re.fullmatch(form, new_id(kind, randomness.ljust(16, b"\0")))
    assert re.fullmatch(form, derived_id(kind, "123456789012", "web-1"))


def test_ids_of_instances_and_endpoints_are_such_as_the_aws_cli_takes() -> None:
    assert INSTANCE_ID.fullmatch(derived_id(Kind.INSTANCE, "123456789012", "web-1"))
    assert ENDPOINT_ID.fullmatch(derived_id(Kind.ENDPOINT, "123456789012", "office"))


def test_a_derived_id_depends_on_account_kind_and_name_alone() -> None:
    first = derived_id(Kind.VPC, "123456789012", "office")
    assert first == derived_id(Kind.VPC, "123456789012", "office")
    others = {
        derived_id(Kind.VPC, "123456789013", "office"),
        derived_id(Kind.SUBNET, "123456789012", "office"),
        derived_id(Kind.VPC, "123456789012", "lab"),
    }
    assert len({identifier.split("-")[1] for identifier in others | {first}}) == 4


def test_an_id_is_not_made_of_too_little_randomness() -> None:
    with pytest.raises(ValueError, match="12 random bytes"):
        new_id(Kind.VPC, b"short")
