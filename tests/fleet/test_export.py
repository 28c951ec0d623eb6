"""The account as a fleet file."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from tests.fleet.accounts import EMPTY, LATER, NOW, account_of, carried_out
from tests.fleet.fleets import fleets

from hatchway.fleet import parse_fleet
from hatchway.fleet.account_view import AccountView, Rows, copy_of
from hatchway.fleet.export import account_form, export_view
from hatchway.fleet.plan import make_plan

random_files = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
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
    rows.instances = {key: replace(noun, registered_at=NOW) for key, noun in rows.instances.items()}
    return rows


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
            arn: replace(policy, default_version="v1", latest_version=None)
            for arn, policy in rows.managed_policies.items()
        }
    assert made == kept
    assert copy.account == view.account


def test_an_empty_account_is_its_account_and_region() -> None:
    assert account_form(EMPTY) == {"account": EMPTY.account.id, "region": EMPTY.account.region}


def test_what_every_network_has_goes_without_saying_and_a_document_stands_in_many_lines() -> None:
    view = account_of("""
vpcs:
  o:
    cidr: 10.0.0.0/16
    subnets: {w: {cidr: 10.0.1.0/24}}
    security_groups: {default: {description: "restated", ingress: []}, ssh: {}}
  p: {cidr: 10.1.0.0/16, id: vpc-1}
endpoints: {e: {subnet: o/w}}
policies:
  p: {Statement: {Effect: Deny, Action: "*", Resource: "*"}}
  q: {document: {Statement: {Effect: Deny, Action: "*", Resource: "*"}}, description: more}
users: {alice: {tags: {a: b}}}
""")
    form = account_form(view)
    assert form["vpcs"]["p"] == {"id": "vpc-1", "cidr": "10.1.0.0/16"}
    assert form["vpcs"]["o"]["security_groups"]["default"]["description"] == "restated"
    assert "id" not in form["vpcs"]["o"]
    assert form["policies"]["q"].keys() == {"description", "document"}
    assert "roles" not in form
    text = export_view(view)
    assert "policies:\n  p: |-\n    {\n" in text
    assert "tags:\n      a: b" in text


def test_an_endpoint_without_a_name_is_under_its_id() -> None:
    view = account_of(
        "vpcs: {o: {cidr: 10.0.0.0/16, subnets: {w: {cidr: 10.0.1.0/24}}}}\nendpoints: {e: {subnet: o/w}}"
    )
    rows = copy_of(view.rows)
    rows.endpoints = {key: replace(endpoint, name=None) for key, endpoint in rows.endpoints.items()}
    (key,) = rows.endpoints
    assert list(account_form(replace(view, rows=rows))["endpoints"]) == [key]
