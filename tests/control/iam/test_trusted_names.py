"""A trust policy means the user or role that it was written about: never another who gets the name."""

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, Credentials, World

from hatchway.access.stored_policies import is_readable_trust_policy, stored_trust_policy
from hatchway.domain.identity import Role
from hatchway.iam import PolicyKind, parse_policy
from hatchway.store import Store, Transaction
from hatchway.store.rows import Rows

ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}


def may_assume(world: World, who: Credentials, role: str) -> bool:
    try:
        world.client("sts", who).assume_role(RoleArn=role, RoleSessionName="work")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return False
    return True


def trusted(world: World, role: str) -> Any:
    """What stands for the principals in the role's trust policy."""
    document = world.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    return document["Statement"][0]["Principal"]["AWS"]


def made(world: World, name: str) -> tuple[str, Credentials]:
    """A new user's id and key."""
    iam = world.client("iam")
    id_ = iam.create_user(UserName=name)["User"]["UserId"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    world.allow(name, ASSUME)
    return id_, Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def delete_user(world: World, name: str, key: Credentials) -> None:
    iam = world.client("iam")
    iam.delete_access_key(UserName=name, AccessKeyId=key.access_key_id)
    iam.delete_user_policy(UserName=name, PolicyName="given")
    iam.delete_user(UserName=name)


def test_a_user_of_a_deleted_ones_name_is_not_trusted_in_its_place(world: World) -> None:
    id_, alice = made(world, "alice")
    role = world.role("on-call", trust={"Principal": {"AWS": [ARNS.user("alice"), ARNS.user("alice2")]}})
    escaped = world.role("escaped", trust={"Principal": {"AWS": ARNS.user("alice")}})
    with world.store.write() as tx:
        (stored,) = tx.roles.find(name="escaped")
        object.__setattr__(
            stored, "trust_policy", stored.trust_policy.replace("user/alice", "user\\/\\u0061lice")
        )
        tx.roles.put(stored)
    assert may_assume(world, alice, role) and may_assume(world, alice, escaped)

    delete_user(world, "alice", alice)
    assert trusted(world, "on-call") == [id_, ARNS.user("alice2")]
    assert trusted(world, "escaped") == id_
    _, another = made(world, "alice")
    assert not may_assume(world, another, role) and not may_assume(world, another, escaped)

    # What is shown may be given back: it goes on naming nobody.
    document = world.client("iam").get_role(RoleName="on-call")["Role"]["AssumeRolePolicyDocument"]
    world.client("iam").update_assume_role_policy(RoleName="on-call", PolicyDocument=json.dumps(document))
    assert not may_assume(world, another, role)


def test_a_renamed_user_stays_trusted_and_who_gets_the_old_name_is_not(world: World) -> None:
    id_, alice = made(world, "alice")
    role = world.role("on-call", trust={"Principal": {"AWS": ARNS.user("alice")}})
    world.role("elsewhere", trust={"Principal": {"AWS": ARNS.user("alice", "/former/")}})
    iam = world.client("iam")
    iam.update_user(UserName="alice", NewUserName="alison", NewPath="/staff/")
    assert trusted(world, "on-call") == ARNS.user("alison", "/staff/")
    assert trusted(world, "elsewhere") == id_
    assert may_assume(world, alice, role)
    _, another = made(world, "alice")
    assert not may_assume(world, another, role)


@pytest.mark.parametrize("path", ["/*/", "/a/b?c/"])
def test_a_user_who_gets_a_path_with_a_wildcard_takes_the_role_from_nobody_else(
    world: World, path: str
) -> None:
    id_, alice = made(world, "alice")
    _, bob = made(world, "bob")
    role = world.role("on-call", trust={"Principal": {"AWS": [ARNS.user("alice"), ARNS.user("bob")]}})
    world.client("iam").update_user(UserName="alice", NewPath=path)
    assert trusted(world, "on-call") == [id_, ARNS.user("bob")]
    assert not may_assume(world, alice, role)
    assert may_assume(world, bob, role)


@pytest.mark.parametrize("principal", [ARNS.role("ci"), ARNS.assumed_role("ci", "work")])
def test_a_role_of_a_deleted_ones_name_is_not_trusted_in_its_place(world: World, principal: str) -> None:
    _, alice = made(world, "alice")
    target = world.role("on-call", trust={"Principal": {"AWS": principal}})
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
        }
    )
    iam = world.client("iam")

    def session() -> Credentials:
        arn = ARNS.role("ci")
        return Credentials.temporary(
            world.client("sts", alice).assume_role(RoleArn=arn, RoleSessionName="work")
        )

    id_ = iam.create_role(RoleName="ci", AssumeRolePolicyDocument=trust)["Role"]["RoleId"]
    assert may_assume(world, session(), target)
    iam.delete_role(RoleName="ci")
    assert trusted(world, "on-call").partition(":")[0] == id_
    iam.create_role(RoleName="ci", AssumeRolePolicyDocument=trust)
    assert not may_assume(world, session(), target)


@pytest.mark.parametrize(
    "name",
    [
        ARNS.user("nobody"),
        ARNS.user("alice", "/staff/"),
        ARNS.user("alice").replace("arn:aws:", "arn:aws-cn:"),
        ARNS.role("on-call", "/ci/"),
        ARNS.role("none"),
        ARNS.assumed_role("none", "work"),
        "AIDAQXKX6ZV2RFSJ5GQDA",
    ],
)
def test_a_trust_policy_that_names_nobody_is_refused(module_world: World, name: str) -> None:
    world = module_world
    iam = world.client("iam")
    with contextlib.suppress(ClientError):
        iam.create_user(UserName="alice")
        iam.create_role(RoleName="on-call", AssumeRolePolicyDocument=trusting(ARNS.user("alice")))
    for document in trusting(name), trusting(ARNS.user("alice"), name):
        for ask in (
            partial(iam.create_role, RoleName="new", AssumeRolePolicyDocument=document),
            partial(iam.update_assume_role_policy, RoleName="on-call", PolicyDocument=document),
        ):
            with pytest.raises(ClientError) as refusal:
                ask()
            error = refusal.value.response["Error"]
            assert (error["Code"], error["Message"]) == (
                "MalformedPolicyDocument",
                f'Invalid principal in policy: "AWS":"{name}"',
            )


def test_a_trust_policy_names_whoever_is_there_and_other_accounts(module_world: World) -> None:
    iam = module_world.client("iam")
    iam.create_user(UserName="carol", Path="/staff/")
    iam.create_role(RoleName="ops", AssumeRolePolicyDocument=trusting(ARNS.user("carol", "/staff/")))
    there = [
        "*", ACCOUNT, ARNS.root, ARNS.role("ops"), ARNS.assumed_role("ops", "work"),
        "arn:aws:iam::999999999999:user/who-knows", "arn:aws:iam::999999999999:root",
    ]  # fmt: skip
    iam.update_assume_role_policy(RoleName="ops", PolicyDocument=trusting(*there))
    assert trusted(module_world, "ops") == there


def trusting(*names: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": names}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_trust_policies_are_read_before_the_write_lock_is_taken_and_written_by_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand, reading takes a second or two: nobody else could write meanwhile."""
    names = [ARNS.user(name) for name in ("alice", "bob")]
    for name in ("alice", "bob"):
        world.client("iam").create_user(UserName=name)
    documents = [
        {"Principal": {"AWS": names}, "Condition": {"Bool": {f"a:k{at}": "true"}}} for at in range(8)
    ]
    for at, document in enumerate(documents):
        world.role(f"role-{at}", trust=document)
    writing, read_in, writes = [False], [], []
    write, put_all = Store.write, Rows.put_all

    @contextlib.contextmanager
    def noted(store: Store, *given: Any, **options: Any) -> Iterator[Transaction]:
        with write(store, *given, **options) as tx:
            writing[0] = True
            try:
                yield tx
            finally:
                writing[0] = False

    def parsed(*given: Any, **options: Any) -> Any:
        if options.get("kind") is PolicyKind.TRUST:
            read_in.append(writing[0])
        return parse_policy(*given, **options)

    def put(rows: Any, nouns: Any) -> None:
        nouns = list(nouns)
        writes.append([noun for noun in nouns if isinstance(noun, Role)])
        put_all(rows, nouns)

    is_readable_trust_policy.cache_clear()
    monkeypatch.setattr(Store, "write", noted)
    monkeypatch.setattr("hatchway.access.stored_policies.parse_policy", parsed)
    monkeypatch.setattr(Rows, "put_all", put)
    for change in (
        partial(world.client("iam").update_user, UserName="alice", NewUserName="carol"),
        partial(world.client("iam").delete_user, UserName="bob"),
    ):
        read_in.clear()
        writes.clear()
        change()
        assert read_in.count(False) >= 8
        assert not any(read_in)
        assert [len(written) for written in writes if written] == [8]


def test_of_trust_policies_that_a_deletion_reads_none_is_kept(world: World) -> None:
    """A thousand may take 200 MB in memory."""
    world.client("iam").create_user(UserName="alice")
    for at in range(8):
        world.role(f"role-{at}", trust={"Principal": {"AWS": [ARNS.user("alice"), str(at).zfill(12)]}})
    stored_trust_policy.clear()
    world.client("iam").delete_user(UserName="alice")
    assert len(stored_trust_policy) == 0
