"""A request as policies see it."""

from types import MappingProxyType

import pytest

from hatchway.iam import AmbiguousContext, Request

A = "arn:aws:ec2:us-east-1:123456789012:subnet/a"


def test_a_request_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError) as refusal:
        Request("ec2:CreateTags", ())
    assert str(refusal.value) == (
        "a request needs a resource; '*' stands for an action without resource-level support"
    )
    with pytest.raises(AmbiguousContext, match="aws:username more than once") as caught:
        Request("ec2:CreateTags", context={"aws:username": "a", "x:Key": "c", "aws:UserName": "b"})
    assert caught.value.keys == ("aws:username", "aws:UserName")
    for value in (22, ["a"], None, ("a", 1)):
        with pytest.raises(TypeError, match="x:Key is neither"):
            Request("ec2:CreateTags", context={"x:Key": value})  # type: ignore[dict-item]


def test_a_request_without_a_resource_is_about_the_asterisk() -> None:
    request = Request("ec2:DescribeInstances")
    assert request.resources == ("*",)
    assert [(arn.text, arn.segments) for arn in request.targets] == [("*", ())]
    assert request.deny_targets is request.targets


def test_resources_are_read_once_and_those_for_denies_beside_them() -> None:
    request = Request("ec2:CreateTags", A, deny_also=("*", A))
    assert request.resources == (A,)
    assert [arn.text for arn in request.targets] == [A]
    assert [arn.text for arn in request.deny_targets] == [A, "*", A]
    assert request.targets[0].segments == ("arn", "aws", "ec2", "us-east-1", "123456789012", "subnet/a")
    assert Request("ec2:CreateTags", ("*", A)).resources == ("*", A)


def test_keys_are_folded_and_those_without_a_value_left_out() -> None:
    texts = {"aws:UserName": "Alice", "x:Empty": ""}
    assert Request("a:b", context=texts).keys == {"aws:username": "Alice", "x:empty": ""}
    mixed: dict[str, str | tuple[str, ...]] = {
        "AWS:TagKeys": ("A", "b"),
        "x:None": (),
        "aws:UserName": "Alice",
    }
    assert Request("a:b", context=MappingProxyType(mixed)).keys == {
        "aws:tagkeys": ("A", "b"),
        "aws:username": "Alice",
    }
    assert Request("a:b").keys == {}


def test_a_text_of_a_subclass_is_a_text() -> None:
    class Name(str):
        pass

    assert Request("a:b", context={"X:y": Name("z")}).keys == {"x:y": "z"}
