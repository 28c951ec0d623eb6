"""Every operation beside its service's model: no member of a call or answer is passed over.

A member counts as read, or set, when its name is among the texts that the operation can come upon
(`tests.control.reach`). Whatever a new model brings, these tests ask about.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore.model import Shape
from tests.control.reach import texts_reached

from hatchway.control import dispatcher
from hatchway.control.catalogue import OPERATIONS
from hatchway.control.operations import Call, Operation
from hatchway.control.services import services

NEVER_SET = Path(__file__).parent.joinpath("never_set.toml")

every_operation = pytest.mark.parametrize(
    "operation", OPERATIONS.values(), ids=lambda operation: f"{operation.service}-{operation.name}"
)


@cache
def texts_of(service: str, name: str) -> frozenset[str]:
    """What an operation can come upon, with what all of them have."""
    return texts_reached((OPERATIONS[service, name].run, Call))


def inner(shape: Shape) -> Shape:
    """What a list or map holds, or the shape itself."""
    while shape.type_name in {"list", "map"}:
        shape = shape.member if shape.type_name == "list" else shape.value
    return shape


def places(shape: Shape | None, place: str = "", within: tuple[str, ...] = ()) -> Iterator[str]:
    """The members of a structure and of those in it, by their places: names joined by dots."""
    shape = shape and inner(shape)
    if shape is None or shape.type_name != "structure" or shape.name in within:
        return
    for name, member in shape.members.items():
        yield f"{place}{name}"
        yield from places(member, f"{place}{name}.", (*within, shape.name))


def input_of(operation: Operation) -> Shape | None:
    return services()[operation.service].model.operation_model(operation.name).input_shape


@every_operation
def test_each_parameter_is_read_or_refused_by_name(operation: Operation) -> None:
    texts = texts_of(operation.service, operation.name)
    passed_over = [
        place
        for place in places(input_of(operation))
        if place.rpartition(".")[2] not in texts
        and not any(f"{place}.".startswith(f"{refused}.") for refused in operation.unsupported)
    ]
    assert passed_over == [], "read them, or declare them in @operation(…, unsupported={…})"


@every_operation
def test_what_is_refused_by_name_is_in_the_model(operation: Operation) -> None:
    assert set(operation.unsupported) <= set(places(input_of(operation)))


def unset_members() -> dict[str, set[str]]:
    """By the name of a shape, such as `ec2.Vpc`, the members that no operation sets in any answer."""
    unset: dict[str, set[str]] = defaultdict(set)
    in_some: dict[str, set[str]] = defaultdict(set)
    for service, name in OPERATIONS:
        texts = texts_of(service, name)
        waiting = [services()[service].model.operation_model(name).output_shape]
        seen: set[str] = set()
        while waiting:
            shape = waiting.pop()
            shape = shape and inner(shape)
            if shape is None or shape.type_name != "structure" or shape.name in seen:
                continue
            seen.add(shape.name)
            known = {member for member in shape.members if member in texts}
            in_some[f"{service}.{shape.name}"] |= known
            unset[f"{service}.{shape.name}"] |= set(shape.members)
            waiting.extend(shape.members[member] for member in known)
    return {shape: members - in_some[shape] for shape, members in unset.items() if members - in_some[shape]}


def test_each_member_of_an_answer_is_set_or_said_never_to_be() -> None:
    """`never_set.toml` says of the rest why. The table holds no shape or member too many."""
    table = tomllib.loads(NEVER_SET.read_text(encoding="utf-8"))
    said: dict[str, set[str]] = defaultdict(set)
    for entry in table["never"]:
        assert entry["why"]
        assert said[entry["shape"]].isdisjoint(entry["members"]), entry["shape"]
        said[entry["shape"]] |= set(entry["members"])
    unset = unset_members()
    differ = {
        shape: {
            "say_why": sorted(unset.get(shape, set()) - said[shape]),
            "are_set": sorted(said[shape] - unset.get(shape, set())),
        }
        for shape in {*unset, *said}
        if unset.get(shape, set()) != said[shape]
    }
    assert differ == {}, "set them, or say in tests/control/never_set.toml why they are never set"


def test_the_walk_sees_what_is_not_read() -> None:
    """It must be able to fail: the dispatcher's own texts are none of an operation's."""
    assert "AvailabilityZoneId" in texts_of("ec2", "DescribeSubnets")
    assert "AvailabilityZoneId" not in texts_of("sts", "GetCallerIdentity")
    assert "content-type" in texts_reached(dispatcher.Dispatcher)
