"""The JSON Schema of fleet files: what it takes and refuses, beside the reader whose tables it is made of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft7Validator
from tests.fleet.accounts import HERE
from tests.fleet.fleets import fleets

from hatchway.fleet import BadFleet, parse_fleet
from hatchway.fleet.fields import Table
from hatchway.fleet.identity_sections import GROUP, POLICY, ROLE, USER
from hatchway.fleet.network_sections import ENDPOINT, INSTANCE, SECURITY_GROUP, SUBNET, VPC
from hatchway.fleet.parsing import FLEET, QUOTAS
from hatchway.fleet.schema import fleet_schema
from hatchway.fleet.text import read_text

EXAMPLES = Path(__file__).parents[2] / "examples"
VALIDATOR = Draft7Validator(fleet_schema())
TABLES: dict[str, Table[Any]] = {
    "": FLEET,
    "quotas": QUOTAS,
    "vpcs.*": VPC,
    "vpcs.*.subnets.*": SUBNET,
    "vpcs.*.security_groups.*": SECURITY_GROUP,
    "instances.*": INSTANCE,
    "endpoints.*": ENDPOINT,
    "policies.*": POLICY,
    "groups.*": GROUP,
    "users.*": USER,
    "roles.*": ROLE,
}


def planned_files() -> Iterator[Any]:
    for case in yaml.safe_load((HERE / "planned.yaml").read_text()):
        yield from (pytest.param(case[key], id=case["name"]) for key in ("before", "file") if key in case)


def refused(content: Any) -> bool:
    return not VALIDATOR.is_valid(content)


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(fleet_schema())


def test_the_file_beside_the_examples_is_this_schema() -> None:
    """`hatchway fleet schema > examples/fleet.schema.json` makes it so."""
    assert json.loads((EXAMPLES / "fleet.schema.json").read_text()) == fleet_schema()


def test_the_example_is_valid() -> None:
    VALIDATOR.validate(read_text((EXAMPLES / "office.yaml").read_bytes()))


@pytest.mark.parametrize("file", list(planned_files()))
def test_a_file_that_can_be_applied_is_valid(file: str | list[str]) -> None:
    for text in [file] if isinstance(file, str) else file:
        VALIDATOR.validate(read_text(text.encode()))


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(fleets())
def test_whatever_the_reader_takes_is_valid(content: dict[str, Any]) -> None:
    parse_fleet(json.dumps(content).encode())
    VALIDATOR.validate(content)


NAME = "a"
VALID: dict[str, Any] = {
    "quotas": {},
    "vpcs.*": {"cidr": "10.0.0.0/16"},
    "vpcs.*.subnets.*": {"cidr": "10.0.1.0/24"},
    "vpcs.*.security_groups.*": {},
    "instances.*": {"subnet": "a/b", "private_ip": "10.0.1.5"},
    "endpoints.*": {"subnet": "a/b"},
    "policies.*": {"document": "p.json"},
    "groups.*": {},
    "users.*": {},
    "roles.*": {"trust": "t.json"},
}


def within(where: str, content: Any) -> dict[str, Any]:
    """A file that has the content there, all around it being valid."""
    file: dict[str, Any] = {}
    inner = file
    *outer, last = where.split(".") if where else [""]
    for depth, part in enumerate(outer):
        around = VALID.get(".".join(outer[: depth + 1]), {})
        inner = inner.setdefault(NAME if part == "*" else part, dict(around))
    if not where:
        return dict(content)
    inner[NAME if last == "*" else last] = content
    return file


@pytest.mark.parametrize("where", TABLES)
def test_every_mapping_takes_its_own_keys_and_no_other(where: str) -> None:
    """A key that comes into a table of the reader is in the schema with it."""
    valid = VALID.get(where, {})
    VALIDATOR.validate(within(where, valid))
    assert refused(within(where, {**valid, "colour": "blue"}))
    with pytest.raises(BadFleet, match="colour: is not known here"):
        parse_fleet(json.dumps(within(where, {**valid, "colour": "blue"})).encode())
    for key in TABLES[where].keys:
        message = "\n".join(
            error.message for error in VALIDATOR.iter_errors(within(where, {**valid, key: 2.5}))
        )
        assert "Additional properties" not in message


@pytest.mark.parametrize("where", TABLES)
def test_every_key_tells_an_editor_what_it_is_for(where: str) -> None:
    assert all(key.about.endswith(".") for key in TABLES[where].keys.values())


@pytest.mark.parametrize(
    ("where", "content"),
    [
        ("", []),
        ("", {"account": 12}),
        ("", {"region": "nowhere"}),
        ("", {"guardrails": "rail"}),
        ("quotas", None),
        ("quotas", {"endpoints_per_vpc": -1}),
        ("quotas", {"tunnels_per_endpoint": "many"}),
        ("vpcs.*", {}),
        ("vpcs.*", {"cidr": []}),
        ("vpcs.*", {"cidr": "10.0.0.0"}),
        ("vpcs.*", {"cidr": "10.0.0.0/16", "id": "office"}),
        ("vpcs.*", {"cidr": "10.0.0.0/16", "separate_network": "no"}),
        ("vpcs.*", {"cidr": "10.0.0.0/16", "gateway_dns_name": "no name"}),
        ("vpcs.*", {"cidr": "10.0.0.0/16", "tags": {"env": 1}}),
        ("vpcs.*", {"cidr": "10.0.0.0/16", "tags": None}),
        ("vpcs", {"a/b": {"cidr": "10.0.0.0/16"}}),
        ("vpcs.*.security_groups.*", {"ingress": "all"}),
        ("vpcs.*.security_groups.*", {"ingress": [{"ports": 65536, "source": "10.0.0.0/16"}]}),
        ("vpcs.*.security_groups.*", {"ingress": [{"ports": "ssh", "source": "10.0.0.0/16"}]}),
        ("vpcs.*.security_groups.*", {"ingress": [{"ports": 22, "destination": "10.0.0.0/16"}]}),
        ("vpcs.*.security_groups.*", {"egress": [{"protocol": "sctp", "ports": 53, "destination": "::/0"}]}),
        ("instances.*", {"subnet": "a/b"}),
        ("instances.*", {"private_ip": "10.0.1.5"}),
        ("instances.*", {"subnet": "a/b", "private_ip": "10.0.1.5", "state": "asleep"}),
        ("instances.*", {"subnet": "a/b", "private_ip": "10.0.1.5", "security_groups": []}),
        ("instances.*", {"subnet": "a/b", "private_ip": "10.0.1.5", "security_groups": ["s", "s"]}),
        ("instances.*", {"subnet": "a/b", "private_ip": "10.0.1.5", "id": "i-web-1"}),
        ("endpoints.*", {"subnet": "a/b", "max_tunnels": 0}),
        ("endpoints.*", {"subnet": "a/b", "proxy_protocol": "v1"}),
        ("endpoints.*", {"subnet": "a/b", "ip_address_type": "ipv5"}),
        ("policies.*", 7),
        ("policies.*", None),
        ("policies.*", {"description": "no document"}),
        ("policies.*", {"document": []}),
        ("policies.*", {"Statement": [], "Staement": []}),
        ("policies.*", {"document": "p.json", "path": "teams"}),
        ("users.*", {"groups": "engineers"}),
        ("users.*", {"groups": ["two words"]}),
        ("users.*", {"inline": {"x": 7}}),
        ("users.*", {"permissions_boundary": 7}),
        ("users", {"two words": {}}),
        ("groups.*", {"permissions_boundary": None}),
        ("roles.*", {}),
        ("roles.*", {"trust": "t.json", "max_session_duration": 60}),
        ("roles", {"AWSServiceRoleForEC2InstanceConnect": {"trust": "t.json"}}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_value_is_refused_by_the_schema_and_by_the_reader(
    where: str, content: Any
) -> None:
    file = within(where, content) if where or isinstance(content, dict) else content
    assert refused(file)
    with pytest.raises(BadFleet):
        parse_fleet(json.dumps(file).encode())


@pytest.mark.parametrize(
    ("where", "content"),
    [
        ("", {"account": 123456789012, "vpcs": None}),
        ("vpcs.*", {"cidr": ["10.0.0.0/16", "fd00::/56"], "subnets": None, "tags": {"version": 1.5}}),
        ("users.*", None),
        ("users.*", {"permissions_boundary": None, "inline": None}),
        ("policies.*", "policies/p.json"),
        ("policies.*", {"Version": "2012-10-17", "Statement": []}),
        ("policies.*", {"document": {"Statement": {}}, "description": "more"}),
    ],
)  # fmt: skip
def test_what_an_editor_reads_in_its_own_way_is_valid(where: str, content: Any) -> None:
    VALIDATOR.validate(within(where, content))
