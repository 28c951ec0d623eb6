"""The permissions and condition keys of each call, as observed: docs/api.md has them from the same file.

`HATCHWAY_WRITE_PERMISSIONS=1` has the test write the file anew; `make tables` then writes the page.
"""

import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.control.harness import ACCOUNT, INSTANCE, SSH_GROUP, SUBNET, VPC, World
from tests.control.parameters import required_parameters
from tests.control.test_condition_keys import EVERYTHING, GRANTED_TO_ALL, PARAMETERS, call, session

from hatchway.access import authorization
from hatchway.control.catalogue import OPERATIONS
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.enrollment_token import EnrollmentToken
from hatchway.domain.network import SecurityGroupRule
from hatchway.iam import Decision, PolicySet, Request, evaluate
from hatchway.store import Transaction

__all__ = ["session"]

FILE = Path(__file__).with_name("permissions.toml")
HEAD = (
    "# What each call asks of policies, as test_permissions.py observes it: see there how to write it anew.\n"
)
OF_TAGS = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")

Asked = dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]]
"""By call and action: the kinds of resources, and the condition keys besides those of every request."""


def kind(resource: str) -> str:
    """What an ARN is one of: `subnet`, `user`; `*` of all."""
    found = re.fullmatch(r"arn:aws:[a-z0-9-]+:[^:]*:[^:]*:([a-z-]+)(?:/.*)?", resource)
    assert found is not None or resource == "*", resource
    return "*" if found is None else found[1]


def keys(request: Request) -> set[str]:
    """The condition keys that are the call's own, in lower case, without the names of tags."""
    own = {key for key in request.keys if not key.startswith("aws:") or key.startswith(OF_TAGS)}
    return {re.sub(r"(tag|attribute)/.*", r"\1/…", key) for key in own}


def standing(world: World) -> Callable[[Transaction], None]:
    """What calls are about, all with tags; returns what puts it back after a call that took or changed it."""
    tags, now = {"env": "dev"}, world.clock()
    world.user("alice", tags=tags)
    world.user("none", tags=tags)
    boundary = world.managed_policy("none", EVERYTHING)
    world.role("none", trust={"Principal": {"AWS": ACCOUNT}}, tags=tags, permissions_boundary=boundary)
    endpoint = Endpoint(
        id="eice-0000000000000000f",
        name=None,
        vpc_id=VPC,
        subnet_id=SUBNET,
        availability_zone="us-east-1a",
        dns_name="gateway.hatchway.test",
        state=EndpointState.CREATE_COMPLETE,
        state_message="",
        created_at=now,
        deleted_at=None,
        security_group_ids=(SSH_GROUP,),
        network_interface_ids=(),
        preserve_client_ip=False,
        ip_address_type=IpAddressType.IPV4,
        max_tunnels=None,
        tags=tags,
    )
    token = EnrollmentToken(
        id="et-00000000000000000",
        token_hash=b"",
        subnet_id=SUBNET,
        security_group_ids=(SSH_GROUP,),
        tags=tags,
        max_uses=1,
        uses=0,
        created_by="",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    rule = SecurityGroupRule(
        id="sgr-0000000000000000f",
        group_id=SSH_GROUP,
        egress=False,
        protocol="tcp",
        from_port=22,
        to_port=22,
        peer="10.0.0.0/16",
        tags=tags,
    )
    with world.store.read() as tx:
        vpc = replace(tx.vpcs.find(id=VPC)[0], tags=tags)
        subnet = replace(tx.subnets.find(id=SUBNET)[0], tags=tags)
        group = replace(tx.security_groups.find(id=SSH_GROUP)[0], tags=tags)
        instance = replace(tx.instances.find(id=INSTANCE)[0], tags=tags)
        role = replace(tx.roles.find(name="none")[0], tags=tags)
        policy = replace(tx.managed_policies.find(name="none")[0], tags=tags)
        users = [replace(user, permissions_boundary=boundary) for user in tx.users.find()]
        versions = tx.policy_versions.find()

    def put(tx: Transaction) -> None:
        tx.vpcs.put(vpc)
        tx.subnets.put(subnet)
        tx.security_groups.put(group)
        tx.security_group_rules.put(rule)
        tx.instances.put(instance)
        tx.endpoints.put(endpoint)
        tx.enrollment_tokens.put(token)
        tx.users.put(*users)
        tx.roles.put(role)
        tx.managed_policies.put(policy)
        tx.policy_versions.put(*versions)

    return put


def observed(world: World, requests: list[Request]) -> Asked:
    """Each call made once, by somebody who may do everything, about what is there and has tags."""
    who = world.user("admin", EVERYTHING, tags={"team": "blue"})
    put_back = standing(world)
    clients = {service: world.client(service, who) for service, _ in OPERATIONS}
    found: Asked = {}
    for service, operation in sorted(OPERATIONS):
        world.change(put_back)
        requests.clear()
        more = PARAMETERS.get((service, operation), {})
        call(clients[service], operation, {**required_parameters(service, operation), **more})
        kinds: defaultdict[str, set[str]] = defaultdict(set)
        named: defaultdict[str, set[str]] = defaultdict(set)
        for request in requests:
            kinds[request.action] |= {kind(resource) for resource in request.resources}
            named[request.action] |= keys(request)
        found[f"{service} {operation}"] = {
            action: (tuple(sorted(kinds[action])), tuple(sorted(named[action]))) for action in sorted(kinds)
        }
    return found


def written(asked: Asked) -> str:
    """As TOML, a line for each action."""
    lines = [HEAD]
    for name, actions in asked.items():
        lines.append(f'\n["{name}"]\n')
        for action, (kinds, named) in actions.items():
            lines.append(f'"{action}" = {{ on = {list(kinds)}, keys = {list(named)} }}\n'.replace("'", '"'))
    return "".join(lines)


def test_each_call_asks_for_what_the_documents_say(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Request] = []

    def noting(request: Request, policies: PolicySet) -> Decision:
        requests.append(request)
        return evaluate(request, policies)

    monkeypatch.setattr(authorization, "evaluate", noting)
    asked = observed(world, requests)
    if os.environ.get("HATCHWAY_WRITE_PERMISSIONS"):
        FILE.write_text(written(asked), encoding="utf-8")
    kept = tomllib.loads(FILE.read_text(encoding="utf-8"))
    assert {
        name: {action: (tuple(each["on"]), tuple(each["keys"])) for action, each in actions.items()}
        for name, actions in kept.items()
    } == asked
    assert {name for name, actions in asked.items() if not actions} == {
        f"{service} {operation}" for service, operation in GRANTED_TO_ALL
    }
