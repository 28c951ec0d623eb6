"""Form-encoded parameters, read within bounds."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.form import DEEPEST_NAME, MOST_PARAMETERS, Branch, grow, read_form


def test_the_parameters_of_several_texts_are_read_together() -> None:
    assert read_form("a=1&b=", "c=%C3%A9+x") == {"a": "1", "b": "", "c": "é x"}


@given(
    st.lists(st.sampled_from([*"=+_é\r\n\t &.a", "%41", "%3D", "%3d", "%0A", "%25", "%26", "%C3%A9", "%5F"]))
)
def test_escapes_mean_what_they_mean_to_the_standard_library(parts: list[str]) -> None:
    text = "".join(parts)
    pairs = parse_qsl(text, keep_blank_values=True)
    if len({name for name, _ in pairs}) == len(pairs):
        assert read_form(text) == dict(pairs)


@pytest.mark.parametrize("text", ["a=%", "a=1%4", "%zz=1", "a=%%41", "a=%\n"])
def test_a_percent_sign_begins_an_escape(text: str) -> None:
    with pytest.raises(ServiceError, match="not percent-encoded") as refused:
        read_form(text)

    assert refused.value.code == "MalformedQueryString"


@pytest.mark.parametrize("texts", [("a=1&a=2",), ("a=1", "a=1"), ("a=1&%61=2",)])
def test_a_parameter_is_there_once(texts: tuple[str, ...]) -> None:
    with pytest.raises(ServiceError, match="The parameter a is there more than once") as refused:
        read_form(*texts)

    assert refused.value.code == "InvalidQueryParameter"


def test_a_long_name_is_repeated_in_part() -> None:
    with pytest.raises(ServiceError) as refused:
        read_form("&".join([f"{'a' * 1000}=1"] * 2))

    assert len(refused.value.message) < 300


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ServiceError, match="not encoded in UTF-8") as refused:
        read_form("a=%FF")

    assert refused.value.code == "MalformedQueryString"


def test_a_request_has_so_many_parameters_and_no_more() -> None:
    most = [f"a{number}=1" for number in range(MOST_PARAMETERS)]

    assert len(read_form("&".join(most))) == MOST_PARAMETERS
    with pytest.raises(ServiceError, match=f"more than {MOST_PARAMETERS} parameters") as refused:
        read_form("&".join([*most, "b=1"]))
    assert refused.value.code == "MalformedQueryString"


def test_dotted_names_are_a_tree() -> None:
    assert grow({"a.1": "x", "a.2.b": "y", "a": "z"}) == Branch(
        children={"a": Branch("z", {"1": Branch("x"), "2": Branch(children={"b": Branch("y")})})}
    )


def test_a_tree_has_a_depth() -> None:
    deepest = ".".join("a" * DEEPEST_NAME)

    branch = grow({deepest: "x"})
    for _ in range(DEEPEST_NAME):
        branch = branch.children["a"]
    assert branch == Branch("x")
    with pytest.raises(ServiceError, match="has too many parts") as refused:
        grow({f"{deepest}.a": "x"})
    assert refused.value.code == "InvalidQueryParameter"
