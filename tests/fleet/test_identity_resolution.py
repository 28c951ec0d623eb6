"""From the identities that a file declares to the rows of the account."""

import json
from dataclasses import replace

import pytest
from tests.fleet.accounts import LATER, account_of, fleet
from tests.fleet.cases import Case, check_planned, check_refused, planned, refused

from hatchway.fleet.account_view import copy_of
from hatchway.fleet.plan import make_plan
from hatchway.fleet.problems import BadFleet


@pytest.mark.parametrize("case", refused("identity_resolution"))
def test_identities_that_cannot_be_so_are_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize("case", planned("identity_resolution"))
def test_identities_become_as_the_file_says(case: Case) -> None:
    check_planned(case)


def test_a_policy_keeps_five_versions_the_newest_being_in_force() -> None:
    def version(number: int) -> str:
        statement = {"Effect": "Allow", "Action": f"ec2:{number}*", "Resource": "*"}
        return json.dumps({"policies": {"p": {"Statement": statement}}})

    rows = account_of(*map(version, range(1, 7))).rows
    (policy,) = rows.managed_policies.values()
    assert policy.default_version == "v6"
    assert sorted(name for _, name in rows.policy_versions) == ["v2", "v3", "v4", "v5", "v6"]


def test_a_role_that_the_account_has_of_a_service_is_to_be_left_out() -> None:
    trust = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}'
    text = f"roles: {{r: {{trust: '{trust}'}}}}"
    view = account_of(text)
    rows = copy_of(view.rows)
    rows.roles["r"] = replace(rows.roles["r"], linked_service="x.amazonaws.com")
    with pytest.raises(
        BadFleet, match=r"^roles.r: is the role of the service x.amazonaws.com: leave it out$"
    ):
        make_plan(fleet(text), replace(view, rows=rows), now=LATER)
