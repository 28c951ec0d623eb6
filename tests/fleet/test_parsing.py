"""From the bytes of a fleet file to what it declares, or to everything that is wrong with it."""

import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fleet.accounts import EMPTY, NOW, fleet
from tests.fleet.cases import Case, check_refused, refused

from hatchway.domain.account import Quotas
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.plan import make_plan
from hatchway.fleet.problems import BadFleet


@pytest.mark.parametrize("case", refused("parsing"))
def test_what_a_file_says_of_the_account_itself_is_refused_where_it_is_wrong(case: Case) -> None:
    check_refused(case)


def test_an_empty_file_declares_nothing_but_its_digest() -> None:
    declared = parse_fleet(b"# nothing\n")
    assert declared.digest == sha256(b"# nothing\n").hexdigest()
    assert (declared.vpcs, declared.users, declared.guardrails, declared.quotas) == ((), (), None, None)
    assert declared.unread == frozenset()


def test_quotas_that_are_left_out_are_those_of_an_account() -> None:
    assert fleet("quotas: {endpoints_per_vpc: 3}").quotas == Quotas(endpoints_per_vpc=3)


@pytest.mark.parametrize("seconds", [3599, 86_401])
def test_tunnels_may_be_let_last_from_an_hour_to_a_day(seconds: int) -> None:
    assert fleet("quotas: {max_tunnel_duration: 86400}").quotas == Quotas(max_tunnel_duration=86_400)
    with pytest.raises(BadFleet, match=f"{seconds} is not a number of seconds from 3600 to 86400"):
        fleet(f"quotas: {{max_tunnel_duration: {seconds}}}")


def test_policies_are_noted_once_more_for_lint_with_their_places() -> None:
    declared = parse_fleet(
        b"policies: {a: a.json}\nusers: {alice: {inline: {b: a.json}}}",
        lambda path: b'{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}',
    )
    assert [document.place for document in declared.documents] == [
        "policies.a (a.json)",
        "users.alice.inline.b (a.json)",
    ]


def test_what_could_not_be_read_is_known_by_all_its_names() -> None:
    with pytest.raises(BadFleet) as refusal:
        fleet("""
vpcs:
  office: {id: vpc-1, cidr: nonsense, subnets: {web: {id: subnet-1}}, security_groups: {ssh: {}}}
  lab: 7
users: {alice: {id: 7}}
""")
    readable = refusal.value.readable
    assert readable is not None
    assert readable.unread == {
        *("office", "vpc-1", "office/default", "web", "office/web", "subnet-1", "ssh", "office/ssh"),
        *("lab", "alice"),
    }
    assert [user.name for user in readable.users] == ["alice"]


def test_half_a_surrogate_is_refused_wherever_it_stands() -> None:
    with pytest.raises(BadFleet) as refusal:
        parse_fleet(
            b'{"users": {"\\ud800": {}}, "vpcs": {"a": {"cidr": "10.0.0.0/8", "tags": {"k": "\\ud800"}}}}'
        )
    assert len(refusal.value.problems) == 2
    str(refusal.value).encode()


words = st.sampled_from(
    ["vpcs", "users", "cidr", "subnets", "tags", "inline", "id", "10.0.0.0/16", "a/b", "{"]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=25,
)
sections = st.sampled_from(
    [
        "account",
        "quotas",
        "vpcs",
        "instances",
        "endpoints",
        "policies",
        "groups",
        "users",
        "roles",
        "guardrails",
    ]
)


@given(
    st.dictionaries(sections, st.dictionaries(st.text(max_size=4), junk, max_size=3) | junk, max_size=4)
    .map(lambda content: json.dumps(content).encode())
    .__or__(st.binary(max_size=60))
    .__or__(st.text("{}[]:,&*!|>-'\"#%@ \n\tab1", max_size=60).map(str.encode))
)
def test_whatever_the_bytes_are_the_answer_is_a_fleet_or_its_problems(content: bytes) -> None:
    try:
        make_plan(parse_fleet(content), EMPTY, now=NOW)
    except BadFleet as refusal:
        assert refusal.problems
        assert str(refusal).isprintable() or "\n" in str(refusal)
