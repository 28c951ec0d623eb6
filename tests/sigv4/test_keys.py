"""Signing keys against what AWS and botocore derive."""

from __future__ import annotations

from datetime import date

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from hatchway.sigv4 import derive_signing_key
from hatchway.sigv4.canonical import compute_signature
from hatchway.sigv4.keys import Scope


def test_the_key_is_the_one_in_aws_documentation() -> None:
    # AWS General Reference, "Examples of how to derive a signing key for Signature Version 4".
    key = derive_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")

    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_the_signature_is_the_one_in_aws_documentation() -> None:
    # AWS General Reference, the ListUsers example of "Signature Version 4 signing process".
    signature = compute_signature(
        derive_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam"),
        method="GET",
        path="/",
        query="Action=ListUsers&Version=2010-05-08",
        headers=(
            "content-type:application/x-www-form-urlencoded; charset=utf-8\n"
            "host:iam.amazonaws.com\n"
            "x-amz-date:20150830T123600Z\n"
        ),
        signed_headers=("content-type", "host", "x-amz-date"),
        payload_hash="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        timestamp="20150830T123600Z",
        scope=Scope("20150830", "us-east-1", "iam"),
    )

    assert signature == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


@given(
    st.text(st.characters(codec="utf-8")),
    st.dates(date(1970, 1, 1)).map("{:%Y%m%d}".format),
    st.sampled_from(["ec2", "sts"]),
)
def test_the_key_is_botocores(secret: str, day: str, service: str) -> None:
    request = AWSRequest("GET", "https://example.net/")
    request.context["timestamp"] = f"{day}T000000Z"
    theirs = SigV4Auth(Credentials("AKID", secret), service, "us-east-1").signature("text", request)

    key = derive_signing_key(secret, day, "us-east-1", service)

    assert SigV4Auth(Credentials("AKID", ""), service, "us-east-1")._sign(key, "text", hex=True) == theirs
