"""The account as it should be, while it is worked out."""

import pytest
from tests.fleet.accounts import EMPTY, NOW, fleet
from tests.fleet.cases import Case, check_planned, check_refused, planned, refused

from hatchway.fleet.plan import make_plan
from hatchway.fleet.problems import BadFleet


@pytest.mark.parametrize("case", refused("draft"))
def test_a_file_that_does_not_fit_the_account_is_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize("case", planned("draft"))
def test_what_a_file_does_not_name_stays_unless_it_is_pruned(case: Case) -> None:
    check_planned(case)


def test_a_reference_to_what_could_not_be_read_is_no_second_problem() -> None:
    with pytest.raises(BadFleet) as refusal:
        fleet("policies: {p: {Statement: 7}}\nusers: {alice: {policies: [p, q]}}")
    assert refusal.value.readable is not None
    with pytest.raises(BadFleet) as more:
        make_plan(refusal.value.readable, EMPTY, now=NOW)
    assert [problem.place for problem in more.value.problems] == ["users.alice.policies[1]"]


def test_what_was_meant_is_looked_for_until_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of references compared with thousands of names take minutes."""
    monkeypatch.setattr("hatchway.fleet.draft.MOST_COMPARED", 3)
    declared = fleet("groups: {admins: {}, users: {}}\nusers: {alice: {groups: [admin, user]}}")
    with pytest.raises(BadFleet) as refusal:
        make_plan(declared, EMPTY, now=NOW)
    assert [problem.message for problem in refusal.value.problems] == [
        "there is no group 'admin' (did you mean 'admins'?)",
        "there is no group 'user': it must be in the file or in the account",
    ]
