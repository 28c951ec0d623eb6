"""Globs, ARN patterns and variables agree with slow, obvious counterparts on any text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.iam import oracle

from fuzz.draws import Draws, noise
from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import (
    arn_pattern,
    glob,
    read_arn,
    resource_prefix,
    substitute,
    tokenise,
    variables_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEYS: dict[str, str | tuple[str, ...]] = {
    "a": "x",
    "aws:username": "al*ce",
    "b": "1:2",
    "e": "",
    "m": ("x", "y"),
}


def one_input(data: bytes) -> None:
    draws = Draws(data)
    choice = draws.below(3)
    pattern = draws.text(80).encode("utf-8", "replace").decode()
    text = draws.text(200).encode("utf-8", "replace").decode()
    (globs, arns, variables)[choice](pattern, text)


def globs(pattern: str, text: str) -> None:
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    assert matches(text) is oracle.like([(pattern, False)], text)


def arns(pattern: str, text: str) -> None:
    pattern, text = f"arn:aws:{pattern}", f"arn:aws:{text}"
    tokens = tokenise(pattern, wildcards=True, variables=False)
    arn = read_arn(text)
    for is_resource in (False, True):
        try:
            matches = arn_pattern(tokens, empty_ec2_scope_is_any=is_resource)
        except UnreadableValue:
            assert pattern.count(":") < 5
            continue
        expected = oracle.arn_matches([(pattern, False)], text, is_resource=is_resource)
        assert matches(arn) is expected
        assert not matches(arn) or text.startswith(resource_prefix(tokens))


def variables(pattern: str, text: str) -> None:
    pattern = f"{pattern}${{{text}}}{pattern}"
    try:
        tokens = tokenise(pattern, wildcards=True, variables=True)
    except UnreadableValue:
        return
    resolved = substitute(tokens, KEYS)
    assert resolved is None or not variables_of(resolved)
    if resolved is not None:
        glob(resolved)(text)


def seeds() -> list[bytes]:
    pairs = [
        ("a*b?c", "axxbyc"),
        ("*", ""),
        ("", ""),
        ("ec2:us-*:1?:instance/*", "ec2:us-east-1:12:instance/i-0:1/2"),
        ("ec2:::subnet/*", "ec2:us-east-1:1:subnet/x"),
        ("**?*", "é\U0001f600"),
        ("a", "aws:username"),
        ("x", "b, 'y'"),
        ("$", "*"),
    ]
    made = []
    for choice in range(3):
        for pattern, text in pairs:
            first, second = pattern.encode(), text.encode()
            made.append(bytes((choice, len(first))) + first + bytes((len(second),)) + second)
    return made + noise(30)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    """A pattern of a policy is as long as a policy may be; the text is what a request holds."""
    patterns = {"stars": "a*" * size + "b", "questions": "*?" * size, "a literal": "a" * size}
    text = "a" * 200

    def work(pattern: str) -> None:
        glob(tokenise(pattern, wildcards=True, variables=False))(text)

    def long_text() -> None:
        glob(tokenise("*a*b*c", wildcards=True, variables=False))("a" * 20 * size)

    works: dict[str, Callable[[], object]] = {
        what: partial(work, pattern) for what, pattern in patterns.items()
    }
    return works | {"a long text": long_text}
