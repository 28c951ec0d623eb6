"""What holds of every fleet file: applying is idempotent, pruning forgets the past, exports come back."""

import json
from dataclasses import replace
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fleet.accounts import EMPTY, LATER, NOW, carried_out
from tests.fleet.fleets import fleets

from hatchway.fleet import BadFleet, parse_fleet
from hatchway.fleet.account_view import AccountView, Rows, copy_of
from hatchway.fleet.export import account_form, export_view
from hatchway.fleet.plan import make_plan

random_files = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def applied(view: AccountView, content: Any, *, prune: bool = False) -> AccountView:
    plan = make_plan(parse_fleet(json.dumps(content).encode()), view, now=NOW, prune=prune)
    return carried_out(view, plan)


def timeless(view: AccountView) -> Rows:
    """The rows without what an export does not hold: moments, and the service's own role."""
    rows = copy_of(view.rows)
    rows.roles = {name: role for name, role in rows.roles.items() if role.linked_service is None}
    rows.managed_policies = {
        arn: replace(policy, created_at=NOW, updated_at=NOW) for arn, policy in rows.managed_policies.items()
    }
    for table in ("endpoints", "policy_versions", "groups", "users", "roles"):
        nouns = getattr(rows, table)
        setattr(rows, table, {key: replace(noun, created_at=NOW) for key, noun in nouns.items()})
    return rows


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
def test_an_export_changes_nothing_in_its_own_account_and_makes_the_same_of_an_empty_one(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    view = applied(
        applied(EMPTY, first), {key: second[key] for key in ("policies", "groups", "users", "roles")}
    )
    exported = parse_fleet(export_view(view).encode())
    assert make_plan(exported, view, now=LATER, prune=True).changes == ()
    copy = carried_out(EMPTY, make_plan(exported, EMPTY, now=LATER))
    kept, made = timeless(view), timeless(copy)
    # Former versions of a policy stay behind, so its version is the first again.
    for rows in (kept, made):
        rows.policy_versions = {
            (arn, "v1"): replace(rows.policy_versions[arn, policy.default_version], version_id="v1")
            for arn, policy in rows.managed_policies.items()
        }
        rows.managed_policies = {
            arn: replace(policy, default_version="v1") for arn, policy in rows.managed_policies.items()
        }
    assert made == kept
    assert copy.account == view.account


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


words = st.sampled_from(
    ["vpcs", "users", "cidr", "subnets", "tags", "inline", "id", "10.0.0.0/16", "a/b", "{"]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=25,
)
sections = st.sampled_from(
    [
        "account",
        "quotas",
        "vpcs",
        "instances",
        "endpoints",
        "policies",
        "groups",
        "users",
        "roles",
        "guardrails",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(sections, st.dictionaries(st.text(max_size=4), junk, max_size=3) | junk, max_size=4)
    .map(lambda content: json.dumps(content).encode())
    .__or__(st.binary(max_size=60))
    .__or__(st.text("{}[]:,&*!|>-'\"#%@ \n\tab1", max_size=60).map(str.encode))
)
def test_whatever_the_bytes_are_the_answer_is_a_fleet_or_its_problems(content: bytes) -> None:
    try:
        make_plan(parse_fleet(content), EMPTY, now=NOW)
    except BadFleet as refusal:
        assert refusal.problems
        assert str(refusal).isprintable() or "\n" in str(refusal)
