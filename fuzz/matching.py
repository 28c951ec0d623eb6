"""Globs, ARN patterns and readers agree with slow, obvious counterparts on any text."""

import re
import sys
from contextlib import suppress
from fractions import Fraction
from ipaddress import ip_address, ip_network
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["hatchway"]):
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
    from hatchway.iam.readers import read_address, read_date, read_network, read_number

from tests.iam import oracle

KEYS: dict[str, str | tuple[str, ...]] = {
    "a": "x",
    "aws:username": "al*ce",
    "b": "1:2",
    "e": "",
    "m": ("x", "y"),
}


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    choice = provider.ConsumeIntInRange(0, 3)
    pattern = provider.ConsumeUnicodeNoSurrogates(provider.ConsumeIntInRange(0, 80))
    text = provider.ConsumeUnicodeNoSurrogates(200)
    (globs, arns, variables, readers)[choice](pattern, text)


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


def readers(pattern: str, text: str) -> None:
    for value in (pattern, text):
        number = read_number(value)
        if number is not None:
            assert number == Fraction(value)
        read_date(value)
        network = read_network(value)
        with suppress(ValueError):
            assert (
                network is not None
                or "%" in value
                or re.search(r"/[^/]*[^0-9/]|/[0-9]{4}", value)
                or (ip_network(value, strict=False) is None)
            )
        address = read_address(value)
        if address is not None:
            known = ip_address(value)
            known = getattr(known, "ipv4_mapped", None) or known
            assert address == (known.version, int(known))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
