"""EC2's protocol as the operations of `api_client` need it: parameters as pairs, answers from XML. Pure.

(AWS: "ec2Query" of the service model.) The names in answers are those of botocore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LISTS: Final = {
    "reservationSet": "Reservations",
    "instancesSet": "Instances",
    "tagSet": "Tags",
    "instanceConnectEndpointSet": "InstanceConnectEndpoints",
}
_NAMES: Final = {**_LISTS, "instanceState": "State"}
"""Of those that are not just written small."""
_DEPTH: Final = 32


def write_parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Ids, filters, and what is no list."""
    for name, value in parameters.items():
        if name == "Filters":
            for number, asked in enumerate(value, 1):
                yield f"Filter.{number}.Name", asked["Name"]
                yield from (
                    (f"Filter.{number}.Value.{at}", text) for at, text in enumerate(asked["Values"], 1)
                )
        elif isinstance(value, list):
            # Of a list of ids the wire has the singular.
            yield from ((f"{name.removesuffix('s')}.{at}", text) for at, text in enumerate(value, 1))
        else:
            yield name, str(value)


def read_answer(body: bytes) -> dict[str, Any]:
    """The members of an answer or a refusal, those that are empty left out.

    Raises:
        ValueError: it is neither.
    """
    # Not before there is an answer, or it is waited for.
    from xml.parsers import expat

    parser = expat.ParserCreate()
    # Each open element: its text, and its members or items.
    stack: list[tuple[list[str], dict[str, Any], list[Any]]] = [([], {}, [])]

    def start(_name: str, _attributes: object) -> None:
        if len(stack) > _DEPTH:
            raise ValueError("too deep")
        stack.append(([], {}, []))

    def end(name: str) -> None:
        texts, members, items = stack.pop()
        value: Any = items if name in _LISTS else members or "".join(texts)
        if name == "item":
            stack[-1][2].append(value)
        elif value != "":
            stack[-1][1][_NAMES.get(name, name[:1].upper() + name[1:])] = value

    def text(data: str) -> None:
        stack[-1][0].append(data)

    def no_doctype(*_: object) -> None:
        raise ValueError("a document type has no place in an answer")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = no_doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise ValueError(f"no XML: {error}") from error
    answers = list(stack[0][1].values())
    if len(answers) != 1 or not isinstance(answers[0], dict):
        raise ValueError("no answer of EC2")
    return answers[0]
