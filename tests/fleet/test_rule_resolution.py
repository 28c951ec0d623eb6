"""Each rule of the account that should be is one thing, with what else is known of it."""

import pytest
from tests.fleet.accounts import EMPTY, LATER, NOW, carried_out, fleet

from hatchway.fleet import BadFleet
from hatchway.fleet.account_view import AccountView
from hatchway.fleet.plan import make_plan

OFFICE = """
vpcs:
  office:
    cidr: 10.0.0.0/16
    security_groups:
      web:
        ingress:
          - {ports: 22, source: 10.0.0.0/8, id: sgr-1, description: office, tags: {a: b}}
          - {protocol: icmp, source: web}
"""
WITHOUT = OFFICE.replace(", id: sgr-1, description: office, tags: {a: b}", "")


def apply(text: str, view: AccountView = EMPTY, *, prune: bool = False) -> AccountView:
    return carried_out(view, make_plan(fleet(text), view, now=NOW, prune=prune))


def test_a_rule_has_what_the_file_says_and_keeps_its_id() -> None:
    view = apply(OFFICE)
    rule = view.rows.security_group_rules["sgr-1"]
    assert (rule.from_port, rule.description, rule.tags, rule.egress) == (22, "office", {"a": "b"}, False)
    groups = view.rows.security_groups.values()
    assert len(view.rows.security_group_rules) == sum(len((*one.ingress, *one.egress)) for one in groups)
    assert make_plan(fleet(OFFICE), view, now=LATER).empty
    plain = apply(WITHOUT, view).rows.security_group_rules["sgr-1"]
    assert (plain.description, plain.tags) == ("", {})


def test_rules_go_with_what_they_are_of() -> None:
    view = apply(OFFICE)
    fewer = apply(OFFICE.replace("          - {protocol: icmp, source: web}\n", ""), view)
    assert len(fewer.rows.security_group_rules) == len(view.rows.security_group_rules) - 1
    other = apply("vpcs: {lab: {cidr: 10.9.0.0/16}}", view, prune=True)
    assert {rule.group_id for rule in other.rows.security_group_rules.values()} == set(
        other.rows.security_groups
    )
    assert apply("vpcs: {lab: {cidr: 10.9.0.0/16}}", view).rows.security_group_rules.keys() > (
        view.rows.security_group_rules.keys()
    )


def test_an_id_is_of_one_rule() -> None:
    twice = OFFICE.replace("source: web}", "source: web, id: sgr-1}")
    with pytest.raises(BadFleet, match="has the id sgr-1, which another rule has too"):
        apply(twice)
