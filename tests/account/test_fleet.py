"""Fleet files on a real store: one transaction, one audit event, all or nothing."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.accounts import ACCOUNT, LATER, NOW, fleet
from tests.store.migrated import empty_store

from hatchway.account.fleet import (
    PLANS,
    apply_fleet,
    every_problem,
    export_fleet,
    is_current,
    plan_fleet,
    read_account,
)
from hatchway.administration.fleet_files import load_fleet
from hatchway.audit.local import LocalAdministrator
from hatchway.domain.account import AccountAlias
from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.host_token import HostToken
from hatchway.domain.identity import AccessKey, KeyStatus
from hatchway.domain.session import Session, SessionKind
from hatchway.domain.ssh_key import HostPublicKeys, PushedKey
from hatchway.fleet import BadFleet, Plan, parse_fleet, plan_lines
from hatchway.fleet.account_view import AccountView
from hatchway.fleet.plan import make_plan
from hatchway.keys.access_keys import create_access_key
from hatchway.keys.vault import Vault
from hatchway.store import Store, Transaction
from hatchway.store.rows import Rows

REPOSITORY = Path(__file__).parents[2]
OPERATOR = LocalAdministrator(os_user="operator", user_agent="hatchway/test")
OFFICE = """
vpcs:
  office:
    cidr: 10.0.0.0/16
    subnets: {web: {cidr: 10.0.1.0/24}}
instances:
  a: {id: i-0000000a, subnet: office/web, private_ip: 10.0.1.5}
endpoints:
  e: {id: eice-e, subnet: office/web, max_tunnels: 200, tags: {env: dev}}
users:
  alice: {inline: {x: {Statement: {Effect: Allow, Action: "*", Resource: "*"}}}}
"""


def new_store(directory: Path) -> Store:
    """A store that holds the empty account."""
    store = empty_store(directory / "hatchway.db")
    with store.write() as tx:
        tx.accounts.put(ACCOUNT)
    return store


def apply(store: Store, text: str, *, prune: bool = False) -> Plan:
    return apply_fleet(store, fleet(text), now=NOW, prune=prune, administrator=OPERATOR)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_store(tmp_path)
    yield opened
    opened.close()


def events(store: Store) -> list[dict[str, object]]:
    with store.read() as tx:
        return [json.loads(record.body) for record in tx.audit_records.find()]


def test_what_a_plan_tells_is_what_applying_does(store: Store) -> None:
    planned = plan_fleet(store, parse_fleet(OFFICE.encode()), now=NOW)
    assert events(store) == []
    assert apply(store, OFFICE) == planned


def test_what_others_change_while_a_plan_is_made_is_planned_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_turn = [True]

    def planning(*args: Any, **options: Any) -> Plan:
        plan = make_plan(*args, **options)
        if others_turn:
            others_turn.clear()
            # Were the write lock held while a plan is made, this would wait for it in vain.
            apply_fleet(other, parse_fleet(OFFICE.encode()), now=NOW, administrator=OPERATOR)
        return plan

    other = Store.open(store.engine.url.render_as_string())
    monkeypatch.setattr("hatchway.account.fleet.make_plan", planning)
    assert apply(store, OFFICE).empty
    other.close()


def test_where_others_change_the_account_all_the_time_the_last_plan_is_made_while_none_may(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Plan] = []

    def planning(*args: Any, **options: Any) -> Plan:
        made.append(make_plan(*args, **options))
        if len(made) <= PLANS:
            with other.write() as tx:
                tx.account_aliases.put(AccountAlias(alias=f"a{len(made)}"))
                tx.accounts.put(replace(ACCOUNT, gateway_dns_name=f"g{len(made)}.example"))
        return made[-1]

    other = Store.open(store.engine.url.render_as_string())
    monkeypatch.setattr("hatchway.account.fleet.make_plan", planning)
    assert apply(store, OFFICE) == made[-1]
    assert len(made) == PLANS + 1
    other.close()


def session(name: str) -> Session:
    return Session(
        access_key_id=f"ASIA{name}", kind=SessionKind.USER, owner_name="alice", owner_id="", name=name,
        token_hash=b"", issued_at=NOW, expires_at=LATER,
    )  # fmt: skip


def access_key(key_id: str) -> AccessKey:
    return AccessKey(id=key_id, user_name="alice", status=KeyStatus.ACTIVE, created_at=NOW)


def describe_a_rule(tx: Transaction) -> None:
    rule = tx.security_group_rules.find()[0]
    tx.security_group_rules.put(replace(rule, description="said since"))


@pytest.mark.parametrize(
    ("change", "current"),
    [
        (lambda _tx: None, True),
        (lambda tx: tx.sessions.put(session("one")), True),
        (lambda tx: tx.host_tokens.put(HostToken(instance_id="i-a", token_hash=b"", created_at=NOW)), False),
        (lambda tx: tx.account_aliases.put(AccountAlias(alias="office")), False),
        (lambda tx: tx.accounts.put(replace(ACCOUNT, gateway_dns_name="other.example.com")), False),
        (lambda tx: tx.access_keys.put(access_key("AKIA1")), False),
        (lambda tx: tx.users.delete("alice"), False),
        (describe_a_rule, False),
    ],
)
def test_a_plan_is_made_anew_for_what_it_was_made_from_and_for_nothing_else(
    store: Store, change: Callable[[Transaction], object], current: bool
) -> None:
    apply(store, OFFICE)
    with store.read() as tx:
        view = read_account(tx)
    with store.write() as tx:
        change(tx)
        assert is_current(view, tx) is current


def test_applying_twice_changes_nothing_and_bumps_no_revision(store: Store) -> None:
    apply(store, OFFICE)
    revision = store.revision()
    assert apply(store, OFFICE).empty
    assert store.revision() == revision


def test_an_endpoint_of_the_file_is_made_as_the_api_makes_one(store: Store) -> None:
    apply(store, OFFICE)
    with store.read() as tx:
        endpoint = tx.endpoints.get("eice-e")
        assert endpoint is not None
        (interface,) = tx.network_interfaces.find(endpoint_id="eice-e")
        role = tx.roles.get(SERVICE_LINKED_ROLE_NAME)
    assert endpoint.state is EndpointState.CREATE_COMPLETE
    assert endpoint.dns_name == ACCOUNT.gateway_dns_name
    assert endpoint.max_tunnels == 200
    assert endpoint.network_interface_ids == (interface.id,)
    assert interface.private_ip == "10.0.1.254"
    assert interface.tags == {"InstanceConnectEndpointId": "eice-e"}
    assert role is not None
    assert role.linked_service == "ec2-instance-connect.amazonaws.com"


def test_a_modified_endpoint_is_update_complete_and_one_with_new_tags_is_not(store: Store) -> None:
    apply(store, OFFICE)
    tagged = OFFICE.replace("env: dev", "env: prod")
    apply(store, tagged)
    with store.read() as tx:
        endpoint = tx.endpoints.get("eice-e")
    assert endpoint is not None
    assert (endpoint.state, endpoint.tags) == (EndpointState.CREATE_COMPLETE, {"env": "prod"})
    apply(store, tagged.replace("max_tunnels: 200", "preserve_client_ip: true"))
    with store.read() as tx:
        endpoint = tx.endpoints.get("eice-e")
    assert endpoint is not None
    assert (endpoint.state, endpoint.preserve_client_ip) == (EndpointState.UPDATE_COMPLETE, True)


def test_an_endpoint_that_was_deleted_and_is_still_listed_is_made_again(store: Store) -> None:
    apply(store, OFFICE)
    with store.write() as tx:
        endpoint = tx.endpoints.get("eice-e")
        assert endpoint is not None
        tx.endpoints.put(replace(endpoint, state=EndpointState.DELETE_COMPLETE, deleted_at=NOW))
        tx.network_interfaces.delete_where(endpoint_id="eice-e")
    assert "eice-e" not in export_fleet(store)
    plan = apply(store, OFFICE)
    assert [line for line in plan_lines(plan) if "endpoint" in line] == ["+ endpoint e (eice-e)"]
    with store.read() as tx:
        assert [found.state for found in tx.endpoints.find()] == [EndpointState.CREATE_COMPLETE]


def test_an_event_tells_who_applied_which_file_and_what_it_did(store: Store) -> None:
    fleet = parse_fleet(OFFICE.encode())
    apply(store, OFFICE)
    (event,) = events(store)
    identity = event["userIdentity"]
    assert isinstance(identity, dict)
    assert event["eventSource"] == "hatchway.internal"
    assert event["eventName"] == "ApplyFleet"
    assert identity["userName"] == "os-user/operator"
    assert identity["arn"] == "arn:aws:iam::123456789012:root"
    assert event["requestParameters"] == {"fileSha256": fleet.digest, "prune": False}
    assert event["responseElements"] == {"created": 7, "changed": 0, "deleted": 0, "unchanged": 0}
    changes = event["additionalEventData"]
    assert isinstance(changes, dict)
    assert "+ instance a (i-0000000a)" in changes["changes"]


def test_a_file_that_does_not_fit_leaves_nothing_behind(store: Store) -> None:
    apply(store, OFFICE)
    before, revision = export_fleet(store), store.revision()
    with pytest.raises(BadFleet, match=r"instances\.b\.subnet"):
        apply(store, "users: {bob: {}}\ninstances: {b: {subnet: nowhere, private_ip: 10.0.1.6}}")
    assert (export_fleet(store), store.revision(), len(events(store))) == (before, revision, 1)


@pytest.mark.parametrize("writes", range(10))
def test_a_failure_at_any_write_leaves_nothing_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    left = writes

    def failing(write: Callable[..., None]) -> Callable[..., None]:
        def write_while_there_is_room(self: Rows[Any], nouns: Iterable[Any]) -> None:
            nonlocal left
            if left == 0:
                raise OSError("the disk is full")
            left -= 1
            write(self, nouns)

        return write_while_there_is_room

    revision = store.revision()
    monkeypatch.setattr(Rows, "put_all", failing(Rows.put_all))
    monkeypatch.setattr(Rows, "add_all", failing(Rows.add_all))
    with pytest.raises(OSError, match="full"):
        apply(store, OFFICE)
    monkeypatch.undo()
    with store.read() as tx:
        assert read_account(tx).rows == AccountView(account=ACCOUNT).rows
    assert (store.revision(), events(store)) == (revision, [])


def test_pruning_a_user_says_which_access_keys_go_and_leaves_no_secret(store: Store) -> None:
    apply(store, OFFICE)
    with store.write() as tx:
        key = create_access_key(
            tx,
            Vault(bytes(32)),
            user_name="alice",
            now=NOW,
            random_bytes=lambda size: bytes(range(size)),
        ).key
        create_access_key(
            tx,
            Vault(bytes(32)),
            user_name=None,
            now=NOW,
            random_bytes=lambda size: bytes(range(1, size + 1)),
        )
    fleet = parse_fleet(OFFICE.partition("users:")[0].encode())
    assert plan_fleet(store, fleet, now=NOW).empty
    plan = apply(store, OFFICE.partition("users:")[0], prune=True)
    assert list(plan_lines(plan))[:2] == [
        "- user alice (AIDAX47RQ4U4GD2F3GAKS)",
        f"    with its access key {key.id}",
    ]
    with store.read() as tx:
        assert [left.user_name for left in tx.access_keys.find()] == [None]
        assert tx.sealed_secrets.get(key.id) is None
        assert tx.sealed_signing_keys.find(access_key_id=key.id) == []
        assert tx.inline_policies.find() == []
        assert tx.sealed_secrets.count() == 1


def test_pruning_a_user_or_role_ends_its_sessions_as_it_has_the_same_id_when_it_comes_back(
    store: Store,
) -> None:
    text = (
        OFFICE
        + """
roles:
  on-call:
    trust:
      Statement: {Effect: Allow, Principal: "*", Action: "sts:AssumeRole"}
"""
    )
    apply(store, text)
    with store.write() as tx:
        (alice,), (on_call,) = tx.users.find(), tx.roles.find(name="on-call")
        for key_id, kind, owner in (
            ("ASIAALICE", SessionKind.USER, alice),
            ("ASIAONCALL", SessionKind.ROLE, on_call),
        ):
            tx.sessions.put(
                Session(
                    access_key_id=key_id,
                    kind=kind,
                    owner_name=owner.name,
                    owner_id=owner.id,
                    name="work",
                    token_hash=b"",
                    issued_at=NOW,
                    expires_at=LATER,
                )
            )
    apply(store, OFFICE.partition("users:")[0], prune=True)
    apply(store, text)
    with store.read() as tx:
        assert tx.roles.find(name="on-call") == [on_call]
        assert tx.sessions.find() == []


def test_pruning_an_instance_takes_its_host_token_and_keys(store: Store) -> None:
    apply(store, OFFICE)
    with store.write() as tx:
        tx.host_tokens.put(HostToken(instance_id="i-0000000a", token_hash=b"hash", created_at=NOW))
        tx.host_public_keys.put(
            HostPublicKeys(instance_id="i-0000000a", public_keys=("ssh-ed25519 AAAA",), reported_at=NOW)
        )
        tx.pushed_keys.put(
            PushedKey(
                instance_id="i-0000000a",
                os_user="root",
                fingerprint="SHA256:x",
                public_key="ssh-ed25519 AAAA",
                expires_at=LATER,
                pushed_by="arn:aws:iam::123456789012:user/alice",
            )
        )
    plan = apply(store, "vpcs: {office: {cidr: 10.0.0.0/16}}", prune=True)
    lines = list(plan_lines(plan))
    assert lines[lines.index("- instance a (i-0000000a)") + 1] == (
        "    with its host token: the host must be enrolled again if it comes back"
    )
    with store.read() as tx:
        counts = tx.host_tokens.count(), tx.host_public_keys.count(), tx.pushed_keys.count()
        assert counts == (0, 0, 0)


def test_gateways_learn_what_was_put_and_what_was_pruned(store: Store) -> None:
    apply(store, OFFICE)
    since = store.position()
    apply(store, "users: {bob: {}}", prune=True)
    changes = store.changes(since)
    assert [user.name for user in changes.changed["users"]] == ["bob"]
    assert set(changes.deleted) == {
        "vpcs",
        "subnets",
        "security_groups",
        "instances",
        "endpoints",
        "network_interfaces",
        "users",
        "inline_policies",
    }


def test_a_sixth_version_of_a_policy_replaces_the_first(store: Store) -> None:
    for action in ("1", "2", "3", "4", "5", "6"):
        document = {"Statement": {"Effect": "Allow", "Action": f"ec2:{action}*", "Resource": "*"}}
        apply(store, json.dumps({"policies": {"p": document}}))
    with store.read() as tx:
        (policy,) = tx.managed_policies.find()
        versions = tx.policy_versions.find()
    assert policy.default_version == "v6"
    assert [version.version_id for version in versions] == ["v2", "v3", "v4", "v5", "v6"]


def test_an_export_keeps_a_policys_text_to_the_letter(store: Store) -> None:
    text = '{"Statement":\n\t[{"Effect": "Deny",  "Action": "*", "Resource": "*"}] }\n\n'
    apply(store, json.dumps({"policies": {"p": text}}))
    exported = parse_fleet(export_fleet(store).encode())
    assert exported.policies[0].document == text


def test_an_endpoint_of_the_api_is_exported_under_its_id(store: Store) -> None:
    apply(store, OFFICE)
    with store.write() as tx:
        endpoint = tx.endpoints.get("eice-e")
        assert endpoint is not None
        tx.endpoints.put(replace(endpoint, name=None))
    text = export_fleet(store)
    assert "  eice-e:\n    id: eice-e\n" in text
    assert plan_fleet(store, parse_fleet(text.encode()), now=LATER, prune=True).empty


def test_the_example_of_an_office_applies_and_comes_back(store: Store) -> None:
    fleet = load_fleet(REPOSITORY / "examples" / "office.yaml")
    apply_fleet(store, fleet, now=NOW, administrator=OPERATOR)
    exported = parse_fleet(export_fleet(store).encode())
    assert plan_fleet(store, exported, now=LATER, prune=True).changes == ()


def test_a_networks_endpoints_have_the_name_of_its_gateways(store: Store) -> None:
    def names() -> dict[str | None, str]:
        with store.read() as tx:
            return {endpoint.name: endpoint.dns_name for endpoint in tx.endpoints.find()}

    fleet = """
      vpcs:
        office: {cidr: 10.0.0.0/16, subnets: {web: {cidr: 10.0.1.0/24}}}
        cage:
          cidr: 10.0.0.0/16
          separate_network: true
          gateway_dns_name: Cage.Gateway.example
          subnets: {web: {cidr: 10.0.1.0/24}}
    """
    apply(store, fleet + "  endpoints: {o: {subnet: office/web}, c: {subnet: cage/web}}")
    usual = names()["o"]
    assert names() == {"o": usual, "c": "cage.gateway.example"}
    assert "separate_network: true" in export_fleet(store)
    assert "gateway_dns_name: cage.gateway.example" in export_fleet(store)
    # Endpoints that a file does not name follow the name of their network.
    apply(store, fleet.replace("Cage.Gateway", "other"))
    assert names() == {"o": usual, "c": "other.example"}
    apply(store, fleet.replace("gateway_dns_name: Cage.Gateway.example", "tags: {}"))
    assert names() == {"o": usual, "c": usual}


def test_a_subnet_an_endpoint_and_the_account_may_be_given_another_name_of_gateways(store: Store) -> None:
    def names() -> dict[str | None, str]:
        with store.read() as tx:
            return {endpoint.name: endpoint.dns_name for endpoint in tx.endpoints.find()}

    fleet = """
      vpcs:
        office:
          cidr: 10.0.0.0/16
          subnets: {web: {cidr: 10.0.1.0/24}, db: {cidr: 10.0.2.0/24, gateway_dns_name: db.example}}
      endpoints:
        w: {subnet: office/web}
        d: {subnet: office/db}
        own: {subnet: office/db, gateway_dns_name: "{endpoint_id}.own.example", id: eice-0123456789abcdef7}
    """
    apply(store, fleet)
    own = "eice-0123456789abcdef7.own.example"
    assert names() == {"w": ACCOUNT.gateway_dns_name, "d": "db.example", "own": own}
    exported = parse_fleet(export_fleet(store).encode())
    assert plan_fleet(store, exported, now=LATER, prune=True).changes == ()
    # The account's is left alone by files that say nothing of it, also when they prune.
    apply(store, "      gateway_dns_name: Moved.example" + fleet)
    assert names() == {"w": "moved.example", "d": "db.example", "own": own}
    apply(store, fleet.replace(", gateway_dns_name: db.example", ""), prune=True)
    assert names() == {"w": "moved.example", "d": "moved.example", "own": own}
    assert "moved.example" not in export_fleet(store)


def test_what_does_not_fit_the_account_is_told_together_with_what_cannot_be_read(store: Store) -> None:
    """Whatever refers to what is wrong already, or is inside it, is not wrong for that."""
    text = """
vpcs:
  broken: {cidr: 10.0.0.0/33, subnets: {a: {cidr: 10.0.1.0/24}}, security_groups: {s: {}}}
  office: {cidr: 10.1.0.0/16, id: nonsense, subnets: {a: {cidr: 10.2.1.0/24}, b: {cidr: 10.1.2.0/24}}}
instances:
  inside: {subnet: broken/a, private_ip: 10.0.1.5, security_groups: [broken/s]}
  lost: {subnet: office/c, private_ip: 10.1.2.5}
  several: {subnet: office/b, private_ip: 10.1.3.5, state: asleep, security_groups: [office/t]}
policies: {p: {Statement: {Effect: Alow, Action: "*", Resource: "*"}}}
users:
  alice: {policies: [p, q], groups: [nobody], inline: {x: nowhere.json}}
"""
    with pytest.raises(BadFleet) as refusal:
        parse_fleet(text.encode())
    told = str(every_problem(store, refusal.value, now=NOW)).splitlines()
    assert sorted(told) == sorted(
        [
            "vpcs.broken.cidr: '10.0.0.0/33' is not an IPv4 or IPv6 range such as 10.0.0.0/16",
            "vpcs.office.id: 'nonsense' is not an id such as vpc-0123456789abcdef0",
            "vpcs.office.subnets.a.cidr: 10.2.1.0/24 is not within 10.1.0.0/16, the range of vpcs.office",
            "instances.lost.subnet: there is no subnet 'office/c' (did you mean 'office/b'?)",
            "instances.several.state: 'asleep' is not one of running, stopped, terminated",
            "instances.several.private_ip: 10.1.3.5 is not within 10.1.2.0/24, the range of"
            " vpcs.office.subnets.b",
            "instances.several.security_groups[0]: there is no security group 'office/t' (did you mean"
            " 'office/default'?)",
            "policies.p: Statement[0].Effect: 'Alow' is neither Allow nor Deny",
            "users.alice.inline.x (nowhere.json): cannot be read: policies' files cannot be read here: put"
            " the document itself in the fleet file",
            "users.alice.policies[1]: there is no policy 'q': it must be in the file or in the account",
            "users.alice.groups[0]: there is no group 'nobody': it must be in the file or in the account",
        ]
    )
