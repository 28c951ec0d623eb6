"""Encoded authorization failure messages: they decode to what was meant, anything else to a refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fuzz.draws import Draws, noise
from hatchway.access.authorization import AccessDenied, Check, authorize
from hatchway.access.failure_message import decode_failure_message, encode_failure_message
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.iam import PolicySet, parse_policy
from hatchway.keys.vault import Unsealable, Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_VAULT, _OTHER = Vault(b"\1" * 32), Vault(b"\2" * 32)
_POLICY = parse_policy(
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*",'
    ' "Condition": {"StringEquals": {"aws:UserAgent": "the-one-secret-agent"}}}}'
)
_PRINCIPAL = Principal(
    arn="arn:aws:iam::123456789012:user/alice",
    account="123456789012",
    type=PrincipalType.USER,
    user_id="AIDA0123456789ABCDEF",
    user_name="alice",
    access_key_id="AKIAIOSFODNN7EXAMPLE",
)


def one_input(data: bytes) -> None:
    draws = Draws(data)
    agent = draws.text(100).encode("utf-8", "replace").decode()
    message = _denied(agent)
    assert message.isascii()
    decoded = decode_failure_message(_VAULT, message)
    assert decoded["principal"] == _PRINCIPAL.arn
    json.dumps(decoded)
    at = draws.below(len(message) + 1)
    text = message[:at] + draws.text(12) + message[at + draws.below(12) :]
    for vault, given in ((_OTHER, message), (_VAULT, text), (_VAULT, draws.rest().decode("latin-1"))):
        try:
            found = decode_failure_message(vault, given)
        except Unsealable as refusal:
            assert len(str(refusal)) < 200
            continue
        # Base64 that was spelled otherwise, and nothing else.
        assert vault is _VAULT
        assert found == decoded


def _denied(agent: str) -> str:
    caller = Caller(_PRINCIPAL, PolicySet(identity=(_POLICY,)))
    try:
        authorize(caller, [Check("ec2:DescribeVpcs")], {"aws:UserAgent": agent})
    except AccessDenied as denied:
        return encode_failure_message(_VAULT, denied)
    raise AssertionError("it should be refused")


def seeds() -> list[bytes]:
    agents = [b"the-one-secret", b"aws-cli/2.36", b"\xff\xfe", "\u2028".encode()]
    return [bytes((len(agent),)) + agent + b"\x20\1A\1" for agent in agents] + noise(30)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    message = _denied("x") * size

    def refused() -> None:
        try:
            decode_failure_message(_VAULT, message)
        except Unsealable:
            return

    return {"a long message": refused, "a long agent": lambda: _denied("x" * size)}
