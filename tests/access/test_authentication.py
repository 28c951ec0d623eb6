"""A caller is whoever holds the key: known, active, with its user, and with no token besides."""

import dataclasses
import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hatchway.access import authentication
from hatchway.access.authentication import KeyedDigest, StoredDirectory, authenticate, examine
from hatchway.access.callers import Callers, Known
from hatchway.access.principal import Caller, PrincipalType
from hatchway.domain.arns import Arns
from hatchway.domain.identity import (
    Attachment,
    Guardrail,
    InlinePolicy,
    KeyStatus,
    Membership,
    OwnerKind,
    User,
)
from hatchway.iam import Outcome, Request, decide, evaluate
from hatchway.keys.access_keys import NewAccessKey, create_access_key, put_secret
from hatchway.keys.vault import Vault
from hatchway.sigv4.errors import (
    IncompleteSignature,
    RequestExpired,
    SignatureDoesNotMatch,
    UnknownAccessKey,
    WrongScope,
)
from hatchway.sigv4.keys import Scope, derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_header_signature, read_query_signature
from hatchway.sigv4.signing import presign, sign_headers
from hatchway.store import Store, Transaction

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ARNS = Arns("123456789012", "us-east-1")
VAULT = Vault(bytes(range(32)))
ALLOW_ALL = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
DENY_ALL = ALLOW_ALL.replace("Allow", "Deny")


def key_of(store: Store, user_name: str | None) -> NewAccessKey:
    with store.write() as tx:
        if user_name is not None:
            tx.users.put(User(name=user_name, id="AIDA1", path="/eng/", created_at=NOW, tags={"team": "web"}))
        return create_access_key(tx, VAULT, user_name=user_name, now=NOW, random_bytes=os.urandom)


def call(
    store: Store,
    key: NewAccessKey,
    *,
    secret: str | None = None,
    token: str | None = None,
    vault: Vault = VAULT,
    callers: Callers | None = None,
    keyed_digest: KeyedDigest | None = None,
) -> Caller:
    target = presign(
        "gateway.example",
        "/openTunnel",
        {"remotePort": "22"},
        access_key_id=key.key.id,
        secret_access_key=secret or key.secret,
        session_token=token,
        region=ARNS.region,
        service="ec2-instance-connect",
        now=NOW,
        expires=60,
    )
    path, query = target.split("?", 1)
    request = HttpRequest("GET", path, query, (("host", "gateway.example"),))
    with store.read() as tx:
        return authenticate(
            request,
            read_query_signature(request)._replace(told="what is signed"),
            directory=StoredDirectory(tx, vault, ARNS, callers or Callers()),
            now=NOW,
            region=ARNS.region,
            services={"ec2-instance-connect"},
            keyed_digest=keyed_digest,
        )


def test_a_signature_is_compared_with_what_is_asked_for_it_first(store: Store) -> None:
    with pytest.raises(SignatureDoesNotMatch):
        call(store, key_of(store, "alice"), keyed_digest=lambda *_: "0" * 64)


def test_a_users_key_makes_the_user_the_caller(store: Store) -> None:
    principal = call(store, key_of(store, "alice")).principal
    assert principal.arn == "arn:aws:iam::123456789012:user/eng/alice"
    assert (principal.type, principal.user_id, principal.user_name) == (PrincipalType.USER, "AIDA1", "alice")
    assert principal.tags == {"team": "web"}


def test_the_root_key_makes_the_root_user_the_caller_who_needs_no_policy(store: Store) -> None:
    caller = call(store, key_of(store, None))
    assert caller.principal.arn == "arn:aws:iam::123456789012:root"
    assert decide(Request("ec2:DescribeVpcs"), caller.policies) is Outcome.ALLOWED


def test_a_secret_that_was_sealed_anew_under_another_master_key_is_looked_up_again(store: Store) -> None:
    key, callers, rotated = key_of(store, "alice"), Callers(), Vault(bytes(range(1, 33)))
    call(store, key, callers=callers)
    with store.write() as tx:
        put_secret(tx, rotated, key.key.id, key.secret)
    for _ in range(2):
        assert call(store, key, vault=rotated, callers=callers).principal.user_name == "alice"


def test_a_wrong_secret_is_a_signature_that_does_not_match(store: Store) -> None:
    with pytest.raises(SignatureDoesNotMatch):
        call(store, key_of(store, "alice"), secret="x" * 40)


def test_an_unknown_key_is_unknown(store: Store) -> None:
    key = key_of(store, "alice")
    with store.write() as tx:
        tx.access_keys.delete(key.key.id)
    with pytest.raises(UnknownAccessKey):
        call(store, key)


def test_an_unknown_key_is_looked_up_unsealed_and_derived_as_a_known_one_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(store, "alice")
    steps: list[tuple[str, int]] = []
    unseal = Vault.unseal

    def counted(vault: Vault, sealed: bytes, context: str) -> bytes:
        steps.append(("unseal", len(sealed)))
        return unseal(vault, sealed, context)

    def derived(*arguments: str) -> bytes:
        steps.append(("derive", len(arguments)))
        return derive_signing_key(*arguments)

    monkeypatch.setattr(Vault, "unseal", counted)
    monkeypatch.setattr(authentication, "derive_signing_key", derived)
    with pytest.raises(SignatureDoesNotMatch):
        call(store, key, secret="x" * 40)
    known, steps = steps, []
    stranger = NewAccessKey(dataclasses.replace(key.key, id="AKIANOBODYHASTHISONE"), key.secret)
    with pytest.raises(UnknownAccessKey):
        call(store, stranger)
    assert steps == known == [("unseal", 69), ("derive", 4)]


HOSTILE_IDS = [
    "",
    "a" * 129,
    "a" * 100_000,
    "AKIA'; DROP TABLE access_keys; --",
    'AKIA"1',
    "AKIA%00",
    "AKIA\x00",
    "AKIA\n",
    "AKIA\u2028",
    "AKIA\ud800",
    "../../master.key",
    "AKIÁ",
    "ᴬᴷᴵᴬ",
]


@pytest.mark.parametrize("key_id", HOSTILE_IDS, ids=ascii)
def test_a_hostile_access_key_id_is_no_id_and_is_looked_up_nowhere(key_id: str) -> None:
    scope = "20261124/us-east-1/ec2/aws4_request"
    signature = "0" * 64
    header = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders=host, Signature={signature}"
    headers = (("host", "x"), ("x-amz-date", "20261124T000000Z"), ("authorization", header))
    query = "&".join(
        [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            f"X-Amz-Credential={key_id}/{scope}",
            "X-Amz-Date=20261124T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host",
            f"X-Amz-Signature={signature}",
        ]
    )
    for read, request in (
        (read_header_signature, HttpRequest("POST", "/", "", headers)),
        (read_query_signature, HttpRequest("GET", "/openTunnel", query, headers[:1])),
    ):
        with pytest.raises(IncompleteSignature) as raised:
            read(request)
        assert len(str(raised.value)) < 300
        assert not key_id or key_id not in str(raised.value)


def test_an_inactive_key_is_as_good_as_unknown(store: Store) -> None:
    key = key_of(store, "alice")
    with store.write() as tx:
        tx.access_keys.put(dataclasses.replace(key.key, status=KeyStatus.INACTIVE))
    with pytest.raises(UnknownAccessKey) as refused:
        call(store, key)
    assert refused.value.access_key_id == key.key.id


def test_a_key_whose_user_is_gone_is_as_good_as_unknown(store: Store) -> None:
    key = key_of(store, "alice")
    with store.write() as tx:
        tx.users.delete("alice")
    with pytest.raises(UnknownAccessKey):
        call(store, key)


def test_a_session_token_beside_a_long_term_key_is_refused(store: Store) -> None:
    with pytest.raises(UnknownAccessKey):
        call(store, key_of(store, "alice"), token="forged")


def outcome(store: Store, key: NewAccessKey) -> Outcome:
    return decide(Request("ec2:DescribeVpcs"), call(store, key).policies)


def test_policies_of_the_user_and_of_its_groups_apply(store: Store) -> None:
    key = key_of(store, "alice")
    assert outcome(store, key) is Outcome.IMPLICIT_DENY
    with store.write() as tx:
        tx.memberships.put(Membership(user_name="alice", group_name="engineers"))
        tx.inline_policies.put(
            InlinePolicy(
                owner_kind=OwnerKind.GROUP, owner_name="engineers", policy_name="p", document=ALLOW_ALL
            )
        )
    assert outcome(store, key) is Outcome.ALLOWED
    with store.write() as tx:
        tx.inline_policies.put(
            InlinePolicy(owner_kind=OwnerKind.USER, owner_name="alice", policy_name="p", document=DENY_ALL)
        )
    assert outcome(store, key) is Outcome.EXPLICIT_DENY


def test_an_attached_policy_a_guardrail_or_a_boundary_that_is_gone_allows_nothing(store: Store) -> None:
    key, gone = key_of(store, "alice"), ARNS.managed_policy("gone")
    with store.write() as tx:
        tx.inline_policies.put(
            InlinePolicy(owner_kind=OwnerKind.USER, owner_name="alice", policy_name="p", document=ALLOW_ALL)
        )
    attachment = Attachment(owner_kind=OwnerKind.USER, owner_name="alice", policy_arn=gone)
    with store.write() as tx:
        tx.attachments.put(attachment)
    assert outcome(store, key) is not Outcome.ALLOWED
    with store.write() as tx:
        tx.attachments.delete_where(policy_arn=gone)
        tx.guardrails.put(Guardrail(policy_arn=gone))
    assert outcome(store, key) is not Outcome.ALLOWED
    with store.write() as tx:
        tx.guardrails.delete(gone)
        alice = tx.users.get("alice")
        assert alice is not None
        tx.users.put(dataclasses.replace(alice, permissions_boundary=gone))
    assert outcome(store, key) is not Outcome.ALLOWED


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (DENY_ALL.replace('"Action"', '"NotPrincipal": "*", "Action"'), "Statement[0].NotPrincipal: "),
        ("", "is not JSON"),
    ],
)
def test_a_stored_policy_that_cannot_be_read_denies_everything_and_decisions_say_why(
    store: Store, document: str, problem: str
) -> None:
    key = key_of(store, "alice")
    with store.write() as tx:
        for name, text in (("allow", ALLOW_ALL), ("deny", document)):
            tx.inline_policies.put(
                InlinePolicy(owner_kind=OwnerKind.USER, owner_name="alice", policy_name=name, document=text)
            )
    decision = evaluate(Request("ec2:DescribeVpcs"), call(store, key).policies)
    assert decision.outcome is Outcome.EXPLICIT_DENY
    (deciding,) = decision.deciding
    assert deciding.policy.startswith("deny (cannot be read: ")
    assert problem in deciding.policy


BODY = b"Action=DescribeVpcs&Version=2016-11-15"
BODY_HASH = hashlib.sha256(BODY).hexdigest()


def head(
    store: Store,
    key: NewAccessKey,
    *,
    states_hash: bool = False,
    secret: str | None = None,
    token: str | None = None,
    now: datetime = NOW,
    region: str = ARNS.region,
) -> bool:
    """What the head of a request with `BODY` shows, signed with the key as its client signs it."""
    stated = (("X-Amz-Content-Sha256", BODY_HASH),) if states_hash else ()
    unsigned = HttpRequest("POST", "/", "", (("Host", "api.example"), *stated), BODY)
    added = sign_headers(
        unsigned,
        access_key_id=key.key.id,
        secret_access_key=secret or key.secret,
        session_token=token,
        region=region,
        service="ec2",
        now=now,
    )
    request = dataclasses.replace(unsigned, headers=(*unsigned.headers, *added), body=b"")
    with store.read() as tx:
        return examine(
            request,
            read_header_signature(request),
            directory=StoredDirectory(tx, VAULT, ARNS, Callers()),
            now=NOW,
            region=ARNS.region,
            services={"ec2"},
        )


def test_a_head_that_states_its_bodys_hash_shows_whose_it_is(store: Store) -> None:
    key = key_of(store, "alice")
    assert head(store, key, states_hash=True)
    with pytest.raises(SignatureDoesNotMatch):
        head(store, key, states_hash=True, secret="x" * 40)


def test_any_other_head_shows_that_its_key_is_active_and_no_more(store: Store) -> None:
    key = key_of(store, "alice")
    assert not head(store, key)
    assert not head(store, key, secret="x" * 40)
    with store.write() as tx:
        tx.access_keys.put(dataclasses.replace(key.key, status=KeyStatus.INACTIVE))
    with pytest.raises(UnknownAccessKey) as refused:
        head(store, key)
    assert refused.value.access_key_id == key.key.id


@pytest.mark.parametrize("states_hash", [True, False])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"region": "eu-west-1"}, WrongScope),
        ({"now": NOW - timedelta(minutes=6)}, RequestExpired),
        ({"token": "forged"}, UnknownAccessKey),
    ],
)
def test_a_head_shows_what_is_wrong_whatever_the_body(
    store: Store, states_hash: bool, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        head(store, key_of(store, "alice"), states_hash=states_hash, **changes)


class Counting(Callers):
    """Callers that know which keys were looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def look_up(self, tx: Transaction, key_id: str) -> Known:
        self.asked.append(key_id)
        return super().look_up(tx, key_id)


def test_a_key_is_looked_up_once_for_all_that_is_asked_of_it_and_another_for_itself(store: Store) -> None:
    alice, root, callers = key_of(store, "alice"), key_of(store, None), Counting()
    with store.read() as tx:
        directory = StoredDirectory(tx, VAULT, ARNS, callers)
        told = []
        for key in (alice, root):
            assert directory.session(key.key.id) is None
            caller = directory.caller(key.key.id)
            assert caller is not None
            told.append(caller.principal.type)
    assert told == [PrincipalType.USER, PrincipalType.ROOT]
    assert callers.asked == [alice.key.id, root.key.id]


def test_what_is_looked_up_anew_for_its_seal_is_not_looked_up_once_more(store: Store) -> None:
    key, callers = key_of(store, "alice"), Counting()
    anew = Vault(bytes(range(1, 33)))
    with store.write() as tx:
        put_secret(tx, anew, key.key.id, key.secret)
    with store.read() as tx:
        known = Callers.look_up(callers, tx, key.key.id)
        stale = dataclasses.replace(known, sealed=VAULT.seal(b"former", "under the former"))
        callers._remember(key.key.id, stale)
        directory = StoredDirectory(tx, anew, ARNS, callers)
        scope = Scope("20261124", ARNS.region, "ec2")
        assert directory.signing_key(key.key.id, scope) == derive_signing_key(
            key.secret, scope.date, scope.region, scope.service
        )
        assert directory.caller(key.key.id) is not None
    assert callers.asked == [key.key.id]
