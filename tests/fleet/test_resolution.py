"""A whole file, resolved by itself."""

import pytest
from tests.fleet.accounts import fleet

from hatchway.fleet.resolution import problems_by_itself, references_outside

OFFICE = "vpcs: {office: {cidr: 10.0.0.0/16, subnets: {web: {cidr: 10.0.1.0/24}}}}\n"


def test_a_reference_that_leads_out_of_the_file_is_no_problem_but_told() -> None:
    declared = fleet(OFFICE + "instances: {a: {subnet: lab/web, private_ip: 10.0.1.5}}\nguardrails: [rail]")
    assert problems_by_itself(declared) == []
    assert [str(question) for question in references_outside(declared)] == [
        "instances.a.subnet: subnet 'lab/web' is not in the file",
        "guardrails[0]: policy 'rail' is not in the file",
    ]


def test_a_file_that_stands_by_itself_leaves_nothing_open() -> None:
    declared = fleet(OFFICE + "instances: {a: {subnet: office/web, private_ip: 10.0.1.5}}")
    assert problems_by_itself(declared) == references_outside(declared) == []


def test_what_was_meant_is_not_looked_for_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing thousands of references to thousands of names takes minutes, and `apply` does not tell it."""
    monkeypatch.setattr("hatchway.fleet.resolution.suggestion", None)
    monkeypatch.setattr("hatchway.fleet.draft.suggestion", None)
    assert problems_by_itself(fleet("groups: {admins: {}}\nusers: {alice: {groups: [admin]}}")) == []


def test_what_was_meant_is_looked_for_until_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.fleet.resolution.MOST_COMPARED", 3)
    declared = fleet("groups: {admins: {}, users: {}}\nusers: {alice: {groups: [admin, user]}}")
    assert [question.message for question in references_outside(declared)] == [
        "group 'admin' is not in the file (did you mean 'admins'?)",
        "group 'user' is not in the file",
    ]
