"""Signing keys against what AWS and botocore derive."""

from __future__ import annotations

from datetime import date

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from hatchway.sigv4.keys import Scope, derive_signing_key


def test_the_key_is_the_one_in_aws_documentation() -> None:
    # AWS General Reference, "Examples of how to derive a signing key for Signature Version 4".
    key = derive_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")

    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


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


def test_a_scope_is_written_as_a_credential_ends() -> None:
    assert str(Scope("20150830", "us-east-1", "iam")) == "20150830/us-east-1/iam/aws4_request"
