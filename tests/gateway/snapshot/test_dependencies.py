"""Which tunnels depend on what has changed."""

from hypothesis import given
from hypothesis import strategies as st

from hatchway.gateway.snapshot.dependencies import _DECIDE_ON_ALL, _DEPENDENCIES, DependencyIndex
from hatchway.store.tables import FEED

AFFECT_NO_TUNNEL = {
    "groups": "of which no decision asks: memberships and policies are rows of their own",
    "sealed_signing_keys": "which verify a request, not a tunnel that is open",
    "subnets": "of which no decision asks",
    "terminations": "which end one tunnel without a decision",
}

dependencies = st.lists(
    st.sampled_from([("users", "a"), ("users", "b"), ("policies", "p"), ("vpcs", "v")])
).map(tuple)


@given(st.lists(st.tuples(st.integers(0, 5).map(str), dependencies)), st.frozensets(st.sampled_from("abpvx")))
def test_the_index_finds_the_tunnels_that_have_any_of_the_dependencies_and_forgets_those_that_are_gone(
    steps: list[tuple[str, tuple[tuple[str, str], ...]]], names: frozenset[str]
) -> None:
    index, present = DependencyIndex(), dict[str, tuple[tuple[str, ...], ...]]()
    asked = {(table, name) for table in ("users", "policies", "vpcs") for name in names}
    for tunnel_id, depends_on in steps:
        if tunnel_id in present:
            index.remove(tunnel_id, present.pop(tunnel_id))
        else:
            present[tunnel_id] = index.add(tunnel_id, depends_on)
            assert present[tunnel_id] == depends_on
        assert index.depending_on(asked) == {
            tunnel_id for tunnel_id, its in present.items() if asked.intersection(its)
        }
    for tunnel_id, its in present.items():
        index.remove(tunnel_id, its)
    assert vars(index) == vars(DependencyIndex())


def test_tunnels_that_depend_on_the_same_share_what_they_depend_on() -> None:
    index = DependencyIndex()
    ones = index.add("tun-1", (("users", "a"), ("vpcs", "v")))
    assert index.add("tun-2", (("users", "a"), ("vpcs", "v"))) is ones


def test_of_each_table_that_gateways_follow_it_is_said_which_tunnels_it_affects() -> None:
    said = [*_DEPENDENCIES, *_DECIDE_ON_ALL, *AFFECT_NO_TUNNEL]
    assert sorted(said) == sorted(table.name for table in FEED)
