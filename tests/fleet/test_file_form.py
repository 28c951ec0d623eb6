"""The account's rows in the words of the fleet file."""

from dataclasses import replace

import pytest
from tests.fleet.accounts import account_of
from tests.fleet.cases import Case, check_planned, planned

from hatchway.fleet.account_view import AccountView, copy_of
from hatchway.fleet.file_form import FileForms, without_defaults

TRUST = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}'
ALLOW = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
FILE = f"""
vpcs:
  o:
    id: vpc-1
    cidr: [10.0.0.0/16, "fd00::/56"]
    subnets: {{w: {{id: subnet-1, cidr: 10.0.1.0/24, availability_zone: us-east-1b}}}}
    security_groups:
      ssh:
        id: sg-1
        ingress:
        - {{ports: 22, source: ssh}}
        - {{ports: 8000-8010, source: 10.0.0.0/16}}
        - {{ports: all, source: 10.0.0.0/16}}
        - {{protocol: all, source: "::/0"}}
        egress: []
instances: {{a: {{id: i-0000000a, subnet: o/w, private_ip: 10.0.1.5, security_groups: [o/ssh]}}}}
endpoints: {{e: {{id: eice-1, subnet: o/w, proxy_protocol: v2}}, f: {{id: eice-2, subnet: o/w}}}}
policies: {{p: {{document: '{ALLOW}', id: ANPAAAAAAAAAAAAAAAAA}}}}
groups: {{g: {{policies: [p], inline: {{i: '{ALLOW}'}}}}}}
users: {{u: {{groups: [g], permissions_boundary: p, tags: {{a: b}}}}}}
roles: {{r: {{trust: '{TRUST}', description: d}}}}
guardrails: [p]
"""


@pytest.fixture(scope="module")
def view() -> AccountView:
    return account_of(FILE)


@pytest.fixture(scope="module")
def forms(view: AccountView) -> FileForms:
    return FileForms(view)


@pytest.mark.parametrize("case", planned("file_form"))
def test_both_values_of_what_changes_are_told_in_the_words_of_the_file(case: Case) -> None:
    check_planned(case)


def test_the_network_is_told_by_names_and_ids_where_those_do_not_follow(
    view: AccountView, forms: FileForms
) -> None:
    rows = view.rows
    assert forms.vpc(rows.vpcs["vpc-1"])["cidr"] == ["10.0.0.0/16", "fd00::/56"]
    assert without_defaults(forms.subnet(rows.subnets["subnet-1"])) == {
        "id": "subnet-1",
        "cidr": "10.0.1.0/24",
        "availability_zone": "us-east-1b",
    }
    assert without_defaults(forms.instance(rows.instances["i-0000000a"])) == {
        "id": "i-0000000a",
        "subnet": "o/w",
        "private_ip": "10.0.1.5",
        "security_groups": ["o/ssh"],
    }
    assert forms.endpoint(rows.endpoints["eice-1"])["proxy_protocol"] == "v2"
    assert forms.endpoint(rows.endpoints["eice-2"])["proxy_protocol"] is None


def test_rules_are_told_as_the_file_has_them_and_lists_that_are_empty_too(
    view: AccountView, forms: FileForms
) -> None:
    assert without_defaults(forms.security_group(view.rows.security_groups["sg-1"])) == {
        "id": "sg-1",
        "ingress": [
            {"protocol": "tcp", "ports": 22, "source": "o/ssh"},
            {"protocol": "tcp", "ports": "8000-8010", "source": "10.0.0.0/16"},
            {"protocol": "tcp", "ports": "all", "source": "10.0.0.0/16"},
            {"protocol": "all", "source": "::/0"},
        ],
        "egress": [],
    }


def test_the_default_group_is_implied_while_it_is_as_every_vpc_has_it(
    view: AccountView, forms: FileForms
) -> None:
    group = next(group for group in view.rows.security_groups.values() if group.name == "default")
    assert forms.is_implied(group)
    assert not forms.is_implied(replace(group, description="ours"))
    assert not forms.is_implied(view.rows.security_groups["sg-1"])


def test_identities_are_told_with_what_hangs_on_them(view: AccountView, forms: FileForms) -> None:
    (policy,) = view.rows.managed_policies.values()
    assert without_defaults(forms.policy(policy)) == {"id": "ANPAAAAAAAAAAAAAAAAA", "document": ALLOW}
    assert without_defaults(forms.group(view.rows.groups["g"])) == {"policies": ["p"], "inline": {"i": ALLOW}}
    assert without_defaults(forms.user(view.rows.users["u"])) == {
        "groups": ["g"],
        "permissions_boundary": "p",
        "tags": {"a": "b"},
    }
    assert without_defaults(forms.role(view.rows.roles["r"])) == {"description": "d", "trust": TRUST}
    assert forms.account()["guardrails"] == ["p"]


def test_what_is_referred_to_and_is_not_there_is_told_by_its_id(view: AccountView) -> None:
    rows = copy_of(view.rows)
    rows.subnets, rows.vpcs, rows.network_interfaces, rows.managed_policies = {}, {}, {}, {}
    forms = FileForms(replace(view, rows=rows))
    endpoint = forms.endpoint(rows.endpoints["eice-1"])
    assert (endpoint["subnet"], endpoint["private_ip"]) == ("subnet-1", None)
    assert forms.group_path("sg-1") == "vpc-1/ssh"
    assert forms.policy_name("arn:x") == "arn:x"


def test_a_rule_is_told_with_what_else_is_known_of_it() -> None:
    rule = "{ports: 22, source: 10.0.0.0/8, id: sgr-1, description: office, tags: {a: b}}"
    others = "{protocol: udp, ports: 53, source: a}, {protocol: icmp, source: a}"
    groups = f"{{a: {{ingress: [{rule}, {others}]}}, default: {{egress: [], ingress: [{rule[:-1]}}}]}}}}"
    view = account_of(
        f"vpcs: {{o: {{cidr: 10.0.0.0/16, security_groups: {groups.replace('sgr-1', 'sgr-2', 1)}}}}}"
    )
    (group,) = [one for one in view.rows.security_groups.values() if one.name == "a"]
    first, second, third = FileForms(view).security_group(group)["ingress"]
    assert first == {
        "protocol": "tcp",
        "ports": 22,
        "source": "10.0.0.0/8",
        "id": "sgr-2",
        "description": "office",
        "tags": {"a": "b"},
    }
    assert second == {"protocol": "udp", "ports": 53, "source": "o/a"}
    assert third == {"protocol": "icmp", "source": "o/a"}
