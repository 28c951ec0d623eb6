"""Where in its text each part of a policy document stands."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.iam import parse_policy
from hatchway.iam.positions import Position, Span, spans

DOCUMENT = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": "a:*", "Resource": "*"},
    {
      "Effect": "Deny",
      "Action": ["a:B", "a:\\"{C"],
      "Resource": "*",
      "Condition": {"NumericLessThan": {"k:n": 5}}
    }
  ]
}
"""


def text_at(document: str, span: Span) -> str:
    lines = document.splitlines(keepends=True)
    (first, start), (last, end) = span
    if first == last:
        return lines[first - 1][start - 1 : end - 1]
    return lines[first - 1][start - 1 :] + "".join(lines[first : last - 1]) + lines[last - 1][: end - 1]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("Version", '"2012-10-17"'),
        ("Statement[0]", '{"Effect": "Allow", "Action": "a:*", "Resource": "*"}'),
        ("Statement[1].Effect", '"Deny"'),
        ("Statement[1].Action", '["a:B", "a:\\"{C"]'),
        ("Statement[1].Action[1]", '"a:\\"{C"'),
        ("Statement[1].Condition.NumericLessThan", '{"k:n": 5}'),
        ("Statement[1].Condition.NumericLessThan.k:n", "5"),
    ],
)
def test_a_place_is_found_in_the_text(place: str, text: str) -> None:
    assert text_at(DOCUMENT, spans(DOCUMENT)[place]) == text


def test_a_statement_spans_its_lines() -> None:
    assert spans(DOCUMENT)["Statement[1]"] == Span(Position(5, 5), Position(10, 6))


def test_a_lone_statement_is_statement_0() -> None:
    text = '{"Statement": {"Effect": "Allow", "Action": "a:B", "Resource": "*"}}'
    assert text_at(text, spans(text)["Statement[0]"]) == text[len('{"Statement": ') : -1]


def test_empty_lines_count_and_the_whole_is_no_place_of_its_own() -> None:
    found = spans('\n\n{\n\n  "Id": 1,\n"Statement":[\n\n\n {} ]}')
    assert found == {
        "Id": Span(Position(5, 9), Position(5, 10)),
        "Statement": Span(Position(6, 13), Position(9, 6)),
        "Statement[0]": Span(Position(9, 2), Position(9, 4)),
    }


def test_an_escaped_key_is_the_key_that_it_spells() -> None:
    text = '{"\\u0053tatement": [{}]}'
    assert "Statement[0]" in spans(text)


@pytest.mark.parametrize(
    "text", ["", ",", ":", "]]}}", '{"a', '{"a": [1, {"b": ', "{:,:[", '"', "{" * 10_000, "[}" * 10_000]
)
def test_text_that_is_no_document_is_harmless(text: str) -> None:
    spans(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "S:/", "é\n"]), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(alphabet="abS", min_size=1), values, min_size=1), st.sampled_from([None, 1, "\t"])
)
def test_the_text_at_a_place_is_the_value_there(content: dict[str, object], indent: int | str | None) -> None:
    text = json.dumps(content, indent=indent)
    found = spans(text)

    for key, value in content.items():
        assert json.loads(text_at(text, found[key])) == value
        if isinstance(value, list):
            for index, item in enumerate(value):
                assert json.loads(text_at(text, found[f"{key}[{index}]"])) == item


def test_every_statement_that_is_parsed_has_a_place() -> None:
    policy = parse_policy(DOCUMENT.replace("a:*", "a:b").replace('\\"{C', "C"))
    assert all(f"Statement[{s.index}]" in spans(policy.document) for s in policy.statements)
