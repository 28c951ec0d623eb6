"""The account that a file makes, against itself."""

from dataclasses import replace

import pytest
from tests.fleet.accounts import LATER, account_of, fleet
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet.account_view import AccountView, copy_of
from hatchway.fleet.plan import Action, Plan, make_plan


@pytest.mark.parametrize("case", refused("consistency"))
def test_an_account_that_contradicts_itself_is_refused_where_the_file_is_part_of_it(case: Case) -> None:
    check_refused(case)


def plan_of(text: str, view: AccountView) -> Plan:
    return make_plan(fleet(text), view, now=LATER)


OFFICE = "vpcs: {o: {cidr: 10.0.0.0/16, subnets: {w: {id: subnet-w, cidr: 10.0.1.0/24}}}}\n"


def test_what_the_account_contradicts_without_the_file_is_not_for_the_file_to_answer() -> None:
    view = account_of("users: {alice: {}}")
    rows = copy_of(view.rows)
    rows.users["Alice"] = replace(rows.users["alice"], name="Alice", id="AIDAAAAAAAAAAAAAAAAAA")
    assert plan_of("users: {bob: {}}", replace(view, rows=rows)).count(Action.CREATE) == 1


def test_endpoints_of_the_api_have_no_name_that_another_could_have() -> None:
    view = account_of(OFFICE + "endpoints: {a: {subnet: o/w}, b: {subnet: o/w}}")
    rows = copy_of(view.rows)
    rows.endpoints = {key: replace(endpoint, name=None) for key, endpoint in rows.endpoints.items()}
    assert plan_of("users: {}", replace(view, rows=rows)).empty


def test_an_instance_whose_subnet_is_gone_does_not_keep_a_file_from_being_applied() -> None:
    view = account_of(OFFICE + "instances: {a: {subnet: o/w, private_ip: 10.0.1.5}}")
    rows = copy_of(view.rows)
    rows.subnets.clear()
    assert plan_of("users: {bob: {}}", replace(view, rows=rows)).count(Action.CREATE) == 1
