"""Parameters that an operation does nothing with."""

from collections.abc import Mapping
from typing import Any

import pytest

from hatchway.control.unsupported import check_supported
from hatchway.protocol import ServiceError

REFUSED = {"Tenancy": ("default", "none"), "Pool": (), "Rules.Prefix.Id": (), "Wanted": (False,)}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"Other": "x"},
        {"Tenancy": "default"},
        {"Tenancy": "none"},
        {"Wanted": False},
        {"Rules": []},
        {"Rules": [{"Port": 22}, {"Prefix": {"Name": "n"}}]},
    ],
)
def test_what_is_supported_or_changes_nothing_is_taken(parameters: Mapping[str, Any]) -> None:
    check_supported("ec2", parameters, REFUSED)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Tenancy": "host"}, "The parameter Tenancy is not supported by Hatchway: only default or none is."),
        ({"Pool": ""}, "The parameter Pool is not supported by Hatchway."),
        ({"Wanted": True}, "The parameter Wanted is not supported by Hatchway: only false is."),
        (
            {"Rules": [{"Port": 22}, {"Prefix": {"Id": "pl-1"}}]},
            "The parameter Rules.Prefix.Id is not supported by Hatchway.",
        ),
    ],
)
def test_the_rest_is_refused_by_name(parameters: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        check_supported("ec2", parameters, REFUSED)
    assert (refusal.value.code, refusal.value.message) == ("UnsupportedOperation", message)


def test_a_service_without_a_word_for_it_calls_it_invalid() -> None:
    with pytest.raises(ServiceError) as refusal:
        check_supported("iam", {"Pool": "x"}, REFUSED)
    assert refusal.value.code == "ValidationError"
