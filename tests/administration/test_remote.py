"""Which of a file's policies the account has already, by what a plan says."""

import json

from hatchway.administration.remote import in_force
from hatchway.fleet import Action, Change, FieldChange, Plan, parse_fleet
from hatchway.fleet.plan import Writes


def policy(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def change(action: Action, kind: str, name: str, *new: str) -> Change:
    fields = tuple(FieldChange("document", None, each) for each in new)
    return Change(action=action, kind=kind, name=name, id="x", fields=fields)


def test_documents_are_new_where_their_thing_is_or_they_are_what_it_changes_to() -> None:
    names = ("same", "changed", "retagged", "created", "created-not")
    policies = {name: policy(f"ec2:{name}") for name in names}
    users = {"alice": {"inline": {"extra": policy("ec2:Extra")}}}
    fleet = parse_fleet(json.dumps({"policies": policies, "users": users}).encode())
    plan = Plan(
        changes=(
            change(
                Action.CHANGE, "policy", "changed", json.dumps(json.loads(policy("ec2:changed")), indent=2)
            ),
            change(Action.CHANGE, "policy", "retagged", "tag"),
            change(Action.CREATE, "policy", "created"),
            change(Action.CREATE, "user", "alice"),
            change(Action.CREATE, "instance", "created-not"),
        ),
        unchanged=1,
        writes=Writes(),
    )
    assert set(in_force(fleet, plan)) == {policies[name] for name in ("same", "retagged", "created-not")}
