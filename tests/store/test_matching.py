"""Both databases match patterns as `hatchway.control.ec2.wildcards` does."""

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import String, literal, select

from hatchway.control.ec2.wildcards import Pattern
from hatchway.store import Store, matches

ALPHABET = "aAß*?[]\\%_^-!😀 "
TEXTS = st.text(ALPHABET, max_size=6)
EXAMPLES = [
    ("*", ""), ("?", ""), ("?", "😀"), ("a*", "A"), ("[a]", "a"), ("[a]", "[a]"), ("\\*", "*"), ("\\*", "x"),
    ("%", "xyz"), ("_", "x"), ("a\\", "a\\"), ("*[^-]*", "a[^-]b"), ("\\?%\\\\_", "?%\\_"), ("ss", "ß"),
]  # fmt: skip


def agree(store: Store, pairs: list[tuple[str, str]]) -> None:
    read = [(Pattern(pattern), text) for pattern, text in pairs]
    columns = [
        matches(literal(text, String), pattern.characters).label(f"c{number}")
        for number, (pattern, text) in enumerate(read)
    ]
    with store.engine.connect() as connection:
        found = [bool(value) for value in connection.execute(select(*columns)).one()]
    assert found == [pattern.matches(text) for pattern, text in read]


def test_wildcards_mean_the_same_to_the_database(store: Store) -> None:
    agree(store, EXAMPLES)

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40))
    def any_agree(pairs: list[tuple[str, str]]) -> None:
        agree(store, pairs)

    any_agree()
