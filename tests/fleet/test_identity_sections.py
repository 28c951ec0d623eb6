"""How a file describes identities."""

import json

import pytest
from tests.fleet.accounts import fleet
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet.declarations import NO_BOUNDARY
from hatchway.fleet.problems import BadFleet


@pytest.mark.parametrize("case", refused("identity_sections"))
def test_identities_that_are_badly_described_are_refused_with_every_problem(case: Case) -> None:
    check_refused(case)


ALLOW = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'


def test_inline_policies_of_one_identity_share_a_quota() -> None:
    policy = ALLOW.replace('"*"', f'"ec2:{"x" * 1500}"', 1)
    with pytest.raises(BadFleet) as refusal:
        fleet(f"users: {{alice: {{inline: {{a: '{policy}', b: '{policy}'}}}}}}")
    (problem,) = refusal.value.problems
    assert problem.place == "users.alice.inline"
    assert "the quota is 2048" in problem.message


def test_a_policy_is_its_document_or_a_mapping_that_says_more_of_it() -> None:
    declared = fleet(f"policies: {{a: '{ALLOW}', b: {ALLOW}, c: {{document: {ALLOW}, path: /x/}}}}").policies
    assert [(policy.name, policy.path) for policy in declared] == [("a", None), ("b", None), ("c", "/x/")]
    assert [json.loads(policy.document) for policy in declared] == [json.loads(ALLOW)] * 3


def test_null_is_no_policies_of_its_own_and_no_boundary_and_nothing_is_left_alone() -> None:
    alice, bob = fleet("users: {alice: {inline: null, permissions_boundary: null}, bob: }").users
    assert (alice.inline, alice.permissions_boundary) == ({}, NO_BOUNDARY)
    assert (bob.inline, bob.permissions_boundary, bob.policies, bob.groups) == (None, None, None, None)


def test_a_role_has_a_session_of_an_hour_unless_it_says_more() -> None:
    trust = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}'
    short, long = fleet(
        f"roles: {{a: {{trust: '{trust}'}}, b: {{trust: '{trust}', max_session_duration: 7200}}}}"
    ).roles
    assert (short.max_session_duration, long.max_session_duration) == (3600, 7200)
    assert short.trust == trust
