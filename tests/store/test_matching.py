"""Both databases match patterns as `hatchway.control.ec2.wildcards` does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import String, literal, select, text

from hatchway.control.ec2.wildcards import Pattern
from hatchway.store import Store, TookTooLong, matches

ALPHABET = "aAß*?[]\\%_^-!😀 "
TEXTS = st.text(ALPHABET, max_size=6)
EXAMPLES = [
    ("*", ""), ("?", ""), ("?", "😀"), ("a*", "A"), ("[a]", "a"), ("[a]", "[a]"), ("\\*", "*"), ("\\*", "x"),
    ("%", "xyz"), ("_", "x"), ("a\\", "a\\"), ("*[^-]*", "a[^-]b"), ("\\?%\\\\_", "?%\\_"), ("ss", "ß"),
]  # fmt: skip


def agree(store: Store, pairs: list[tuple[str, str]]) -> None:
    read = [(Pattern(pattern), written) for pattern, written in pairs]
    columns = [
        matches(literal(written, String), pattern.characters).label(f"c{number}")
        for number, (pattern, written) in enumerate(read)
    ]
    with store.engine.connect() as connection:
        found = [bool(value) for value in connection.execute(select(*columns)).one()]
    assert found == [pattern.matches(written) for pattern, written in read]


def test_wildcards_mean_the_same_to_the_database(store: Store) -> None:
    agree(store, EXAMPLES)

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40))
    def any_agree(pairs: list[tuple[str, str]]) -> None:
        agree(store, pairs)

    any_agree()


def test_a_statement_that_takes_too_long_is_ended(store: Store) -> None:
    count = (
        "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
    )
    slow = text(count.format(10**9) + " SELECT i FROM n) AS numbers")
    soon = text(count.format(10) + " SELECT i FROM n) AS numbers")
    spent: list[int] = []

    def spend() -> None:
        spent.append(1)
        if len(spent) > 3:
            raise LookupError("enough")

    ended = LookupError if store.is_sqlite else TookTooLong
    with pytest.raises(ended), store.read() as tx, tx.time_limit(0.05, spend):
        tx.vpcs.scalar(slow)
    # The connection is as good as new.
    with store.read() as tx:
        assert tx.vpcs.scalar(soon) == 10
