"""What lint finds in the policies of a fleet file."""

import json

from tests.fleet.accounts import fleet

from hatchway.fleet.lint import lint_policies, with_those_in_force
from hatchway.iam.lint import Home

FOREIGN = {
    "Effect": "Allow",
    "Action": "ec2-instance-connect:OpenTunnel",
    "Resource": "arn:aws:ec2:us-east-1:999999999999:instance-connect-endpoint/eice-1",
}
NOTED = {"Sid": "with space", "Effect": "Deny", "Action": "ec2:DescribeVpcs", "Resource": "*"}
HERE = Home("123456789012", "us-east-1")


def policies(**statements: dict[str, str]) -> str:
    return json.dumps({"policies": {name: {"Statement": [body]} for name, body in statements.items()}})


def test_what_is_found_is_told_with_the_document_and_the_place_in_it() -> None:
    (found,) = lint_policies(fleet(policies(p=FOREIGN)), None, HERE)
    assert str(found).startswith("policies.p: Statement[0]: All its resources are of account 999999999999")
    assert found.to_json()["document"] == "policies.p"
    assert found.to_json()["code"] == "nothing-here"
    assert found.refuses


def test_without_an_account_no_arn_is_of_elsewhere() -> None:
    assert lint_policies(fleet(policies(p=FOREIGN)), None, None) == []


def test_mere_notes_are_left_out() -> None:
    assert lint_policies(fleet(policies(p=NOTED)), None, HERE) == []


def test_each_identity_that_has_a_document_is_told_of_it() -> None:
    found = lint_policies(fleet(policies(p=FOREIGN, q=FOREIGN)), None, HERE)
    assert [each.place for each in found] == ["policies.p", "policies.q"]


def test_a_document_that_is_in_force_already_is_not_refused() -> None:
    found = lint_policies(fleet(policies(p=FOREIGN, q=FOREIGN | {"Sid": "new"})), None, HERE)
    there = json.dumps({"Statement": [dict(reversed(FOREIGN.items()))]})
    assert [each.refuses for each in with_those_in_force(found, [there])] == [False, True]
