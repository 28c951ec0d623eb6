"""Reading a query string. Apart from `canonical`, as a client that signs what it wrote itself reads none."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

_UNRESERVED = "[A-Za-z0-9_.~-]*+"
_CANONICAL = f"{_UNRESERVED}(?:%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF]){_UNRESERVED})*+"
"""Unreserved characters as themselves and every other byte as `%XX`: what `percent_encode` yields."""

_is_canonical = re.compile(_CANONICAL).fullmatch
_are_canonical_pairs = re.compile(f"{_CANONICAL}={_CANONICAL}(?:&{_CANONICAL}={_CANONICAL})*+").fullmatch


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string in their one canonical encoding, in the order given.

    `+` is read as a space, as the parser of form-encoded parameters reads it: what is signed is what is
    understood.
    """
    if _are_canonical_pairs(query):
        # As clients write them.
        return [pair.partition("=")[::2] for pair in query.split("&")]
    pairs = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((_recode(name), _recode(value)))
    return pairs


def _recode(encoded: str) -> str:
    if _is_canonical(encoded):
        return encoded
    octets = encoded.replace("+", " ").encode(errors="surrogatepass")
    return quote(unquote_to_bytes(octets), safe="")
