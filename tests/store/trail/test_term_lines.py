"""Terms as one text, and back."""

from hypothesis import given
from hypothesis import strategies as st

from hatchway.store.trail.term_lines import from_lines, to_lines

terms = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=320)


@given(st.lists(terms, max_size=200))
def test_terms_come_back_as_they_were(some: list[str]) -> None:
    assert from_lines(to_lines(some)) == tuple(some)


@given(st.lists(terms, min_size=1, max_size=5), terms)
def test_a_term_is_among_others_when_its_line_is(some: list[str], other: str) -> None:
    lines = to_lines(some)
    assert all(to_lines([term]) in lines for term in some)
    assert (to_lines([other]) in lines) == (other in some)
    assert lines.isascii()
