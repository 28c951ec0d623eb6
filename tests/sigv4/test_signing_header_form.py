"""`sign_headers` makes what botocore makes, whatever the request."""

from __future__ import annotations

import string
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import given
from hypothesis import strategies as st
from tests.sigv4.header_form import (
    botocore_signed,
    check,
    on_the_wire,
    signed,
)

from hatchway.sigv4.request import HttpRequest

texts = st.text(st.characters(codec="utf-8"), max_size=12)


path_text = st.lists(
    st.sampled_from(
        ["/", "//", ".", "..", "a", "B c", "+", "%2F", "%252f", "é", "~", "*", "openTunnel", "=:@"]
    ),
    max_size=8,
).map(lambda parts: "/" + quote("".join(parts), safe="/%+*=:@~"))


header_names = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12).map(
    "X-Test-".__add__
)


header_values = st.text(string.ascii_letters + " ,;=\t/", max_size=20)


@dataclass(frozen=True)
class Sample:
    method: str
    path: str
    params: list[tuple[str, str]]
    plus_for_space: bool
    headers: dict[str, str]
    body: bytes
    token: str | None


samples = st.builds(
    Sample,
    st.sampled_from(["GET", "POST"]),
    path_text,
    st.lists(st.tuples(texts.filter(bool), texts), max_size=6),
    st.booleans(),
    st.dictionaries(header_names, header_values, max_size=4),
    st.binary(max_size=64),
    st.none() | st.text(string.ascii_letters + "+/=", min_size=1),
)


@given(samples)
def test_what_botocore_signs_verifies_and_our_signer_makes_the_same(sample: Sample) -> None:
    # botocore signs a URL's query as it stands, so it is given the canonical encoding of it; a client may
    # then write a space as "+" on the wire, as botocore's own urlencode does.
    url = f"https://api.example.net{sample.path}?{urlencode(sample.params, quote_via=quote, safe='')}"
    theirs = botocore_signed(sample.method, url, sample.headers, sample.body, sample.token)
    query = urlencode(sample.params, quote_via=quote_plus if sample.plus_for_space else quote, safe="")

    signature = check(on_the_wire(theirs, sample.path, query, sample.body))

    assert signature.session_token == sample.token
    headers = (("Host", "api.example.net"), *sample.headers.items())
    unsigned = HttpRequest(sample.method, sample.path, query, headers, sample.body)
    ours = signed(unsigned, session_token=sample.token)
    assert dict(ours.headers)["Authorization"] == theirs.headers["Authorization"]
