"""Ids look as AWS's do, and what a fleet file names has the same id anywhere."""

import re
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.domain.ids import ENDPOINT_ID, INSTANCE_ID, Kind, derived_id, new_id, time_ordered_uuid


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


@given(milliseconds=st.integers(0, (1 << 48) - 2), randomness=st.binary(min_size=20, max_size=20))
def test_uuids_are_of_version_7_and_sort_by_the_time_at_which_they_were_made(
    milliseconds: int, randomness: bytes
) -> None:
    first = time_ordered_uuid(milliseconds, randomness[:10].hex())
    later = time_ordered_uuid(milliseconds + 1, randomness[10:].hex())
    assert first < later
    for made, at in ((first, milliseconds), (later, milliseconds + 1)):
        parsed = UUID(made)
        assert str(parsed) == made
        assert (parsed.version, parsed.variant, parsed.int >> 80) == (7, RFC_4122, at)


def test_uuids_of_the_same_time_differ_by_all_of_their_74_random_bits() -> None:
    different = {time_ordered_uuid(1, (1 << bit).to_bytes(10, "big").hex()) for bit in range(80)}
    # One is as it is without any: its bit is where the version or the variant stands.
    assert len(different - {time_ordered_uuid(1, bytes(10).hex())}) == 74


def test_a_uuid_is_as_in_the_example_of_rfc_9562() -> None:
    randomness = (0xCC3 << 64 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert time_ordered_uuid(0x017F22E279B0, randomness.hex()) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
