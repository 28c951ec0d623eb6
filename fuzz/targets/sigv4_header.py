"""Signatures in the `Authorization` header: accepted if and only if AWS's guide makes the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import Draws, noise
from fuzz.signing import ACCESS_KEY, NOW, REGION, SECRET, SERVICE, changed, drawn_now, drawn_request, judge
from hatchway.sigv4.errors import SignatureError
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_header_signature
from hatchway.sigv4.signing import sign_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def one_input(data: bytes) -> None:
    draws = Draws(data)
    if draws.chance(3):
        strange(draws.rest())
        return
    request = drawn_request(draws)
    try:
        added = sign_headers(
            request,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET,
            session_token="token/+=" if draws.chance(4) else None,
            region=REGION,
            service=SERVICE,
            now=NOW,
        )
    except SignatureError:
        # A header of the caller's own that cannot be signed.
        return
    signed = replace(request, headers=request.headers + added)
    assert judge(signed, read_header_signature(signed), NOW)
    for _ in range(1 + draws.below(2)):
        signed = changed(signed, draws)
    _judged(signed, draws)


def strange(raw: bytes) -> None:
    """Headers as they came, one a line."""
    lines = raw.decode("latin-1").split("\n")
    headers = tuple((name, value) for name, _, value in (line.partition(":") for line in lines))
    _judged(HttpRequest("POST", "/", "", headers, b""), Draws(raw))


def _judged(request: HttpRequest, draws: Draws) -> None:
    try:
        signature = read_header_signature(request)
    except SignatureError as refusal:
        assert len(str(refusal)) < 500
        return
    assert list(signature.signed_headers) == sorted(set(signature.signed_headers))
    assert SECRET not in repr(signature)
    try:
        judge(request, signature, drawn_now(draws))
    except SignatureError as refusal:  # pragma: no cover - judge answers for all of them
        raise AssertionError from refusal


def seeds() -> list[bytes]:
    authorization = (
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/"
        f"ec2-instance-connect/aws4_request, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    )
    texts = [
        f"Host:h\nX-Amz-Date:20261124T061723Z\n{authorization}",
        f"Host:h\nDate:Tue, 24 Nov 2026 06:17:23 GMT\n{authorization.replace(';x-amz-date', '')}",
        f"Host:h\nDate:Tue, 24 Nov 9999 23:59:59 -9999\n{authorization}",
        f"Host:h\nX-Amz-Date:20261324T061723Z\n{authorization}",
        f"X-Amz-Date:20261124T061723Z\n{authorization}\n{authorization}",
        "Authorization:Bearer hwh_",
        "Authorization:AWS4-HMAC-SHA256 Credential=,Signature=,SignedHeaders=",
    ]
    return [b"\2" + text.encode("latin-1") for text in texts] + noise(40)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    date = "X-Amz-Date:20261124T061723Z\n"
    raws = {
        "many parts": f"{date}Authorization:AWS4-HMAC-SHA256 " + ",".join(f"{n}=" for n in range(size)),
        "many signed headers": f"{date}Authorization:AWS4-HMAC-SHA256 Credential=a/b,Signature=c,"
        + "SignedHeaders="
        + ";".join(f"h{n:06}" for n in range(size)),
        "many headers": "X: y\n" * size,
        "a long date": f"Authorization:AWS4-HMAC-SHA256 Credential=a\nDate:{'1 ' * size}",
    }
    return {what: partial(strange, raw.encode()) for what, raw in raws.items()}
