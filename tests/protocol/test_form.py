"""Form-encoded parameters, read within bounds."""

import pytest

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.form import DEEPEST_NAME, MOST_PARAMETERS, Branch, grow, read_form


def test_the_parameters_of_several_texts_are_read_together() -> None:
    assert read_form("a=1&b=", "c=%C3%A9+x") == {"a": "1", "b": "", "c": "é x"}


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
