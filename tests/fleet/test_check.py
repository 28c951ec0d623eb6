"""Checking a file by itself: its problems, its policies, and what only the account could tell."""

import json

from hatchway.fleet.check import check_file

BAD = b"""\
vpcs:
  office:
    cidr: 10.0.0.0/16
    subnets: {web: {cidr: 10.1.1.0/24}}
instances:
  web-1: {subnet: office/wbe, private_ip: 10.0.1.5, colour: blue}
  web-2: {subnet: lab/web, private_ip: 10.0.1.5}
users:
  alice:
    policies: [connect]
    groups: [engineers]
"""
POLICY = {
    "Effect": "Allow",
    "Action": "ec2-instance-connect:OpenTunnel",
    "Resource": "arn:aws:ec2:us-east-1:999999999999:instance-connect-endpoint/eice-1",
}


def test_every_problem_is_told_with_its_line_and_what_leads_out_of_the_file_is_none() -> None:
    found = check_file(BAD)
    assert [(found.line_of(problem), str(problem)) for problem in found.problems] == [
        (6, "instances.web-1.colour: is not known here"),
        (4, "vpcs.office.subnets.web.cidr: 10.1.1.0/24 is not within 10.0.0.0/16, the range of vpcs.office"),
    ]
    assert [(found.line_of(question), str(question)) for question in found.unchecked] == [
        (6, "instances.web-1.subnet: subnet 'office/wbe' is not in the file (did you mean 'office/web'?)"),
        (7, "instances.web-2.subnet: subnet 'lab/web' is not in the file"),
        (10, "users.alice.policies[0]: policy 'connect' is not in the file"),
        (11, "users.alice.groups[0]: group 'engineers' is not in the file"),
    ]
    assert found.refused()


def test_a_file_whose_references_lead_out_of_it_is_not_refused_for_that() -> None:
    found = check_file(b"users: {alice: {groups: [engineers]}}")
    assert not found.refused()
    assert found.to_json() == {
        "problems": [],
        "findings": [],
        "unchecked": [
            {"line": 1, "place": "users.alice.groups[0]", "message": "group 'engineers' is not in the file"}
        ],
    }


def test_a_reference_to_what_is_wrong_itself_is_not_doubted_too() -> None:
    found = check_file(b"policies: {p: {Statement: 7}}\nusers: {alice: {policies: [p]}}")
    assert [problem.place for problem in found.problems] == ["policies.p"]
    assert found.unchecked == []


def test_a_text_that_is_no_fleet_file_at_all_has_its_line() -> None:
    found = check_file(b"users: {}\nvpcs: [")
    assert [found.line_of(problem) for problem in found.problems] == [3]
    assert found.refused()
    assert (list(found.findings), list(found.unchecked), found.documents) == ([], [], 0)


def test_a_policy_is_linted_where_it_stands_and_refused_unless_that_is_accepted() -> None:
    text = f"""\
account: "123456789012"
region: us-east-1
policies:
  p:
    Statement:
      - {json.dumps(POLICY)}
"""
    found = check_file(text.encode())
    (finding,) = found.findings
    assert (finding.finding.code, found.line_of(finding), found.documents) == ("nothing-here", 6, 1)
    assert found.to_json()["findings"][0]["line"] == 6
    assert found.refused()
    assert not found.refused(accept_policy_errors=True)


def test_without_an_account_in_the_file_policies_are_not_looked_at_for_arns_of_others() -> None:
    found = check_file(json.dumps({"policies": {"p": {"Statement": [POLICY]}}}).encode())
    assert list(found.findings) == []
    assert [str(question) for question in found.unchecked] == [
        "says no account and region, so policies were not looked at for ARNs of others"
    ]
    assert not found.refused()


def test_policies_of_their_own_files_are_read() -> None:
    found = check_file(
        b"policies: {p: p.json}", lambda path: b'{"Statement": 7}' if path == "p.json" else b""
    )
    assert [(problem.place, found.line_of(problem)) for problem in found.problems] == [
        ("policies.p (p.json)", 1)
    ]
