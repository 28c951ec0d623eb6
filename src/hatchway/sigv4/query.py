"""Reading a query string. Apart from `canonical`, as a client that signs what it wrote itself reads none."""

from __future__ import annotations

import re
from itertools import product
from urllib.parse import quote

_UNRESERVED = "[A-Za-z0-9_.~-]*+"
_ENCODED = "%(?:[0189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF])"
_CANONICAL = f"{_UNRESERVED}(?:{_ENCODED}{_UNRESERVED})*+"
"""Unreserved characters as themselves and every other byte as `%XX`: what `percent_encode` yields."""

_are_canonical_pairs = re.compile(f"{_CANONICAL}={_CANONICAL}(?:&{_CANONICAL}={_CANONICAL})*+").fullmatch

_HEX = "0123456789abcdefABCDEF"
_ASCII = "".join(map(chr, range(128)))
_RECODED = {f"%{byte}": quote(bytes.fromhex(byte), safe="") for byte in map("".join, product(_HEX, _HEX))}
_recode_encoded = re.compile(f"(?:%(?![0-9A-Fa-f]{{2}}))+|(?!{_ENCODED})%..").sub
"""Of runs of percent signs that encode nothing, and of what is not encoded in the canonical way."""

_PLAIN = {ord(each): quote(each, safe="") for each in _ASCII if each not in "%&="} | {ord("+"): "%20"}


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query string in their one canonical encoding, in the order given.

    `+` is read as a space, as the parser of form-encoded parameters reads it: what is signed is what is
    understood.
    """
    if _are_canonical_pairs(query):
        # As clients write them.
        return [pair.partition("=")[::2] for pair in query.split("&")]
    pairs = []
    for pair in _recoded(query).split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((name, value.replace("=", "%3D")))
    return pairs


def _recoded(query: str) -> str:
    """All of a query at once, but for what separates pairs, names and values: it may have thousands."""
    if not query.isascii():
        query = quote(query, safe=_ASCII, errors="surrogatepass")
    return _recode_encoded(_recode, query).translate(_PLAIN)


def _recode(found: re.Match[str]) -> str:
    return _RECODED.get(found[0]) or "%25" * len(found[0])
