"""What a file does to an account, and what holds of every file: applying it twice changes nothing more."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fleet.accounts import EMPTY, LATER, NOW, account_of, carried_out, fleet
from tests.fleet.cases import Case, check_planned, planned
from tests.fleet.fleets import fleets

from hatchway.fleet import BadFleet, parse_fleet
from hatchway.fleet.account_view import AccountView
from hatchway.fleet.export import account_form
from hatchway.fleet.plan import Action, make_plan


@pytest.mark.parametrize("case", planned("plan"))
def test_a_plan_tells_what_a_file_does_and_nothing_is_left_to_do_after_it(case: Case) -> None:
    check_planned(case)


random_files = settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def applied(view: AccountView, content: Any, *, prune: bool = False) -> AccountView:
    plan = make_plan(parse_fleet(json.dumps(content).encode()), view, now=NOW, prune=prune)
    return carried_out(view, plan)


@random_files
@given(fleets(), st.booleans(), st.booleans())
def test_applying_a_file_twice_changes_nothing(content: dict[str, Any], prune: bool, as_yaml: bool) -> None:
    view = applied(EMPTY, content, prune=prune)
    text = yaml.safe_dump(content) if as_yaml else json.dumps(content)
    again = make_plan(parse_fleet(text.encode()), view, now=LATER, prune=prune)
    assert again.changes == ()
    assert again.empty


@random_files
@given(fleets(), fleets())
def test_pruning_makes_the_account_be_as_the_file_says_whatever_it_was(
    past: dict[str, Any], content: dict[str, Any]
) -> None:
    # An endpoint does not move to another subnet, so none of these would.
    moving = {
        name
        for name, endpoint in content["endpoints"].items()
        if past["endpoints"].get(name, endpoint)["subnet"] != endpoint["subnet"]
    }
    past["endpoints"] = {name: past["endpoints"][name] for name in past["endpoints"].keys() - moving}
    after = applied(applied(EMPTY, past), content, prune=True)
    afresh = applied(EMPTY, content, prune=True)
    assert without_history(after) == without_history(afresh)


def without_history(view: AccountView) -> Any:
    """The account as a file, without what may well come of the past: addresses that were chosen, paths."""
    form = account_form(view)
    for endpoint in form.get("endpoints", {}).values():
        endpoint.pop("private_ip", None)
        endpoint.pop("ipv6", None)
    for section in ("policies", "groups", "users", "roles"):
        for name, identity in form.get(section, {}).items():
            if isinstance(identity, dict):
                identity.pop("path", None)
                identity["inline"] = {key: said_by(text) for key, text in identity.get("inline", {}).items()}
            else:
                form[section][name] = {"document": identity, "inline": {}}
    for policy in form.get("policies", {}).values():
        policy["document"] = said_by(policy["document"])
    return form


def said_by(document: str) -> Any:
    """What a policy document says, in which 22 and "22" are the same: the one in place stays."""
    return json.loads(document, parse_float=str, parse_int=str)


@random_files
@given(fleets(), fleets(), st.booleans())
def test_a_file_either_applies_whole_or_says_why_and_what_it_does_not_name_stays(
    past: dict[str, Any], content: dict[str, Any], prune: bool
) -> None:
    view = applied(EMPTY, past)
    try:
        after = applied(view, content, prune=prune)
    except BadFleet as refusal:
        assert refusal.problems
        return
    if not prune:
        for table in ("vpcs", "instances", "endpoints", "users", "groups", "roles", "managed_policies"):
            assert getattr(view.rows, table).keys() <= getattr(after.rows, table).keys()


def test_what_goes_with_a_thing_that_is_deleted_is_told() -> None:
    office = "vpcs: {o: {cidr: 10.0.0.0/16, subnets: {w: {cidr: 10.0.1.0/24}}}}\n"
    hosts = "instances: {a: {id: i-0000000a, subnet: o/w, private_ip: 10.0.1.5}}\nusers: {alice: {}, bob: {}}"
    view = replace(
        account_of(office + hosts),
        access_keys={"alice": ["AKIA2", "AKIA1"], "carol": ["AKIA3"]},
        enrolled_instances=frozenset({"i-0000000a"}),
    )
    plan = make_plan(fleet("users: {carol: {}}"), view, now=LATER, prune=True)
    notes = {change.name: change.notes for change in plan.changes}
    assert notes["alice"] == ("with its access keys AKIA1, AKIA2",)
    assert notes["a"] == ("with its host token: the host must be enrolled again if it comes back",)
    assert notes["bob"] == ()
    assert plan.writes.access_keys == ("AKIA2", "AKIA1")
    assert plan.writes.host_tokens == ("i-0000000a",)
    assert (plan.count(Action.CREATE), plan.count(Action.DELETE)) == (1, 6)
