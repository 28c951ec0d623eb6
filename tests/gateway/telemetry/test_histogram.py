"""Histograms say what prometheus_client's say."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from hatchway.gateway.telemetry.histogram import BOUNDS, SecondsHistogram

moments = st.sampled_from(BOUNDS) | st.floats(0, 20)


@given(st.lists(moments))
def test_what_was_observed_is_exported_as_prometheus_own_histogram_has_it(observed: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    quick = SecondsHistogram("waited_seconds", "How long it took.", registry=ours)
    usual = Histogram("waited_seconds", "How long it took.", buckets=BOUNDS, registry=theirs)
    for seconds in observed:
        quick.observe(seconds)
        usual.observe(seconds)
    assert exported(ours) == exported(theirs)


def exported(registry: CollectorRegistry) -> list[str]:
    """But for when it began."""
    lines = generate_latest(registry).decode().splitlines()
    return [line if "_created " not in line or line.startswith("#") else "created" for line in lines]
