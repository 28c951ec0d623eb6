"""`presign` makes the URLs that botocore makes, and with it the AWS CLI."""

from __future__ import annotations

import string
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sigv4.query_form import (
    HOST,
    PARAMS,
    botocore_target,
    check,
    get,
    target,
)


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzE//+=="])
def test_presign_makes_the_very_url_that_the_aws_cli_makes(token: str | None) -> None:
    url = f"https://{HOST}/openTunnel?{urlencode(PARAMS)}"

    assert target(session_token=token) == botocore_target(url, token)


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(
    params=st.dictionaries(texts.filter(lambda name: not name.startswith("X-Amz-")), texts, max_size=6),
    path=st.sampled_from(["/openTunnel", "/", "//a//b/", "/a/../b/./c", "/a%2Fb%20c/~d"]),
    token=st.none() | st.text(string.ascii_letters + "+/=", min_size=1),
)
def test_what_botocore_presigns_verifies_and_presign_makes_the_same(
    params: dict[str, str], path: str, token: str | None
) -> None:
    theirs = botocore_target(f"https://{HOST}{path}?{urlencode(params, quote_via=quote_plus)}", token)

    check(get(theirs))

    assert theirs == target(params, path, session_token=token)
