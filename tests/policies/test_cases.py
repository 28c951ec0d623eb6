"""Cases for `hatchway policy test` mean what is written, and what is wrong with one is said where it is."""

from typing import Any

import pytest

from hatchway.errors import BadUsage
from hatchway.iam import Policy, parse_policy
from hatchway.policies.cases import run_case, suite_cases

ALLOW = {
    "Statement": {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "*",
        "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}},
    }
}


def read_named(name: str) -> Policy:
    return parse_policy(ALLOW, name=name)


def suite(**case: Any) -> dict[str, Any]:
    whole = {"name": "one", "expect": "allowed", "request": {"action": "s3:GetObject"}, **case}
    return {"policies": [ALLOW], "cases": [whole]}


@pytest.mark.parametrize(("keys", "expected"), [(["a", "b"], "allowed"), (["a", "c"], "implicitDeny")])
def test_a_condition_key_may_have_several_values(keys: list[str], expected: str) -> None:
    request = {"action": "s3:GetObject", "context": {"aws:TagKeys": keys}}
    (case,) = suite_cases(suite(expect=expected, request=request), "cases.yaml", read_named)
    assert run_case(case).passed


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"boundary": [ALLOW, ALLOW]}, "boundary is more than one policy"),
        ({"request": {"action": "s3:GetObject", "resource": [7]}}, "resource is no text or list of texts"),
        ({"request": {"action": "s3:GetObject", "resource": []}}, "a request needs a resource"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(case: dict[str, Any], said: str) -> None:
    with pytest.raises(BadUsage, match=said):
        suite_cases(suite(**case), "cases.yaml", read_named)
