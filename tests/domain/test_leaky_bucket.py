"""A bucket leaks as time goes by, and there are at most so many of them."""

import pytest

from hatchway.domain.leaky_bucket import LeakyBuckets


def test_a_bucket_is_as_full_as_what_was_added_less_what_has_leaked() -> None:
    buckets = LeakyBuckets(rate=0.5, max_keys=10)
    assert buckets.add("alice", 2.0, 100.0) == 2.0
    assert buckets.add("alice", 1.0, 101.0) == pytest.approx(2.5)
    assert buckets.level("alice", 103.0) == pytest.approx(1.5)
    assert buckets.level("bob", 103.0) == 0.0


def test_an_empty_bucket_is_forgotten() -> None:
    buckets = LeakyBuckets(rate=1.0, max_keys=10)
    buckets.add("alice", 2.0, 100.0)
    assert buckets.level("alice", 102.0) == 0.0
    assert not buckets.levels


def test_of_too_many_buckets_the_one_is_forgotten_that_was_added_to_first() -> None:
    buckets = LeakyBuckets(rate=1.0, max_keys=2)
    for key in ("alice", "bob", "alice", "carol"):
        buckets.add(key, 5.0, 100.0)
    assert list(buckets.levels) == ["alice", "carol"]
    assert buckets.level("alice", 100.0) == 10.0
