"""Who a gateway takes the signer of a URL for, and what it says to whoever is nobody it knows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.access.people import caller

from hatchway.access.authentication import HttpRequest, Scope
from hatchway.access.presigned import SignatureReader, Unauthenticated, authenticate_presigned
from hatchway.access.principal import Caller
from hatchway.domain.session import Session
from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.signing import presign

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ALICE = caller()


@dataclass
class OneUser:
    """A directory of one key, whose secret it knows."""

    access_key_id: str = "AKIAALICE"

    def caller(self, access_key_id: str) -> Caller | None:
        return ALICE if access_key_id == self.access_key_id else None

    def session(self, access_key_id: str) -> Session | None:
        return None

    def signing_key(self, access_key_id: str, scope: Scope) -> bytes | None:
        if access_key_id != self.access_key_id:
            return None
        return derive_signing_key(SECRET, scope.date, scope.region, scope.service)


def signer(
    *,
    key_id: str = "AKIAALICE",
    secret: str = SECRET,
    service: str = "ec2-instance-connect",
    now: datetime = NOW,
    expires: int = 60,
    reader: SignatureReader | None = None,
) -> Caller:
    target = presign(
        "gateway.example",
        "/openTunnel",
        {"remotePort": "22"},
        access_key_id=key_id,
        secret_access_key=secret,
        region="us-east-1",
        service=service,
        now=now,
        expires=expires,
    )
    return ask(target, reader)


def ask(target: str, reader: SignatureReader | None = None) -> Caller:
    path, _, query = target.partition("?")
    request = HttpRequest("GET", path, query, (("Host", "gateway.example"),))
    return authenticate_presigned(request, directory=OneUser(), now=NOW, region="us-east-1", reader=reader)


def test_the_signer_is_whose_key_it_is() -> None:
    assert signer() is ALICE


def test_a_signature_is_compared_with_what_is_asked_for_it_first() -> None:
    class Reader:
        digest = "1" * 64

        def read_presigned(self, *_: object) -> Any:
            return (
                "AKIAALICE",
                "20261124",
                "us-east-1",
                "ec2-instance-connect",
                "20261124T120000Z",
                "60",
                "1" * 64,
                None,
                "what is signed",
            )

        def keyed_digest(self, _key: bytes, told: str) -> str:
            return self.digest if told == "what is signed" else ""

    reader = Reader()
    assert signer(reader=reader) is ALICE
    reader.digest = "0" * 64
    with pytest.raises(Unauthenticated, match="does not match"):
        signer(reader=reader)


def test_a_wrong_secret_is_told_with_the_key_that_is_claimed() -> None:
    with pytest.raises(Unauthenticated, match="does not match") as refused:
        signer(secret="x" * 40)

    assert refused.value.code == "SignatureDoesNotMatch"
    assert refused.value.claimed_key_id == "AKIAALICE"
    assert not refused.value.unknown


def test_an_unknown_key_of_these_days_is_told_what_a_tunnel_needs() -> None:
    with pytest.raises(Unauthenticated, match="A tunnel needs the active access key of a user") as refused:
        signer(key_id="AKIANOBODY")

    assert refused.value.code == "InvalidClientTokenId"
    assert refused.value.claimed_key_id == "AKIANOBODY"
    assert refused.value.unknown


def test_an_unknown_key_of_another_day_is_told_to_sign_anew() -> None:
    with pytest.raises(
        Unauthenticated, match=r"invalid for its date: gateways verify .*Sign a new request"
    ) as refused:
        signer(key_id="AKIANOBODY", now=NOW - timedelta(days=3), expires=604_800)

    assert refused.value.unknown


def test_only_the_gateways_own_service_is_served() -> None:
    with pytest.raises(Unauthenticated, match="scoped to service ec2-instance-connect, not 'ec2'"):
        signer(service="ec2")


def test_a_url_that_claims_no_key_has_none() -> None:
    with pytest.raises(Unauthenticated, match="missing Authentication Token") as refused:
        ask("/openTunnel?remotePort=22")

    assert refused.value.claimed_key_id is None
    assert not refused.value.unknown
