"""What a call costs in a large account, as a ratio to the same call in a small one, in both stores.

The calls go to the dispatcher, without HTTP: what HTTP costs is the same for both and would hide the ratio.
The two accounts take turns; the quickest of each counts. Time is the clock's, so that a database server's
work is in it.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import structlog
from bench.api.account import ACCOUNT, REGION, Key, Size, fill, instance_id, subnet_id, vpc_id
from bench.api.calls import Call, filters
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.access.context import Origin
from hatchway.audit.group_commit import GroupCommit
from hatchway.control.call_rates import CallRates, Kind
from hatchway.control.dispatcher import Dispatcher
from hatchway.control.plane import ControlPlane
from hatchway.control.request_state import ApiRequest
from hatchway.domain.arns import Arns
from hatchway.keys.vault import Vault
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUND = 1.5
"""Times what a call costs in the small account, at most."""
_PAGE = {"MaxResults": "5"}
_SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIgN8VD2XN6yJtF0VP9FfB2jCXlmZqTzDPlHYSqyrJbN"


def calls() -> dict[str, Call]:
    def instances(*pairs: tuple[str, str], **more: str) -> Call:
        return Call("ec2", "DescribeInstances", {**filters(*pairs), **more})

    return {
        "DescribeInstances, a page of 5": instances(**_PAGE),
        "by id": Call("ec2", "DescribeInstances", {"InstanceId.1": instance_id(77)}),
        "by a tag that one has": instances(("tag:Name", "host-77")),
        "by a tag that half have, a page of 5": instances(("tag:env", "dev"), **_PAGE),
        "by the beginning of a tag, a page of 5": instances(("tag:Name", "host-77*"), **_PAGE),
        "by state and tag, a page of 5": instances(
            ("instance-state-name", "running"), ("tag:env", "dev"), **_PAGE
        ),
        "by a rare state, a page of 5": instances(("instance-state-name", "stopped"), **_PAGE),
        "by subnet, a page of 5": instances(("subnet-id", subnet_id(1)), **_PAGE),
        "by address": instances(("private-ip-address", "10.0.2.11")),
        "by group and zone, a page of 5": instances(
            ("instance.group-name", "default"), ("availability-zone", f"{REGION}b"), **_PAGE
        ),
        "DescribeSubnets, a page of 5": Call("ec2", "DescribeSubnets", _PAGE),
        "DescribeSecurityGroups of a VPC": Call(
            "ec2", "DescribeSecurityGroups", filters(("vpc-id", vpc_id(0)))
        ),
        "DescribeTags by key, a page of 5": Call("ec2", "DescribeTags", {**filters(("key", "env")), **_PAGE}),
        "DescribeInstanceConnectEndpoints by VPC": Call(
            "ec2", "DescribeInstanceConnectEndpoints", filters(("vpc-id", vpc_id(0)))
        ),
        "ListUsers, a page of 5": Call("iam", "ListUsers", {"MaxItems": "5"}),
        "ListUsers of a path, a page of 5": Call("iam", "ListUsers", {"MaxItems": "5", "PathPrefix": "/1/"}),
        "GetUser": Call("iam", "GetUser", {"UserName": "user-00042"}),
        "ListTunnels": Call("hatchway", "ListTunnels", {}),
        "LookupEvents, a page of 5": Call("cloudtrail", "LookupEvents", {"MaxResults": 5}),
        "LookupEvents of a user, a page of 5": Call(
            "cloudtrail",
            "LookupEvents",
            {
                "MaxResults": 5,
                "LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "user-00042"}],
            },
        ),
        "SendSSHPublicKey": Call(
            "ec2-instance-connect",
            "SendSSHPublicKey",
            {"InstanceId": instance_id(77), "InstanceOSUser": "ec2-user", "SSHPublicKey": _SSH_KEY},
        ),
    }


@dataclass(frozen=True)
class Site:
    """An account with a dispatcher of its own."""

    dispatcher: Dispatcher
    key: Key

    def seconds(self, call: Call, times: int) -> float:
        """The quickest of so many."""
        best = float("inf")
        for _ in range(times):
            request = ApiRequest(
                http=call.request(self.key, "api.bench"),
                origin=Origin(source_ip="192.0.2.7", user_agent="bench", secure=True),
                request_id="bench",
            )
            began = time.perf_counter()
            reply = self.dispatcher.dispatch(request).reply
            best = min(best, time.perf_counter() - began)
            if reply.status != 200:
                raise RuntimeError(f"{call.service} {call.action}: {reply.body.decode()[:500]}")
        return best


@dataclass(frozen=True)
class Row:
    call: str
    small: float
    large: float

    @property
    def ratio(self) -> float:
        return self.large / self.small


def measure(backend: str, small: Size, large: Size, *, rounds: int) -> list[Row]:
    """A row for each call, in SQLite or PostgreSQL."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with ExitStack() as stack:
        new_store = stack.enter_context(stores(backend))
        sites = [stack.enter_context(_site(new_store(), size)) for size in (small, large)]
        rows = []
        for name, call in calls().items():
            best = [float("inf")] * 2
            for _ in range(rounds):
                for number, site in enumerate(sites):
                    best[number] = min(best[number], site.seconds(call, 10))
            rows.append(Row(name, *best))
        return rows


@contextmanager
def _site(url: str, size: Size) -> Iterator[Site]:
    store, vault = Store.open(url), Vault(os.urandom(32))
    store.migrate()
    key = fill(store, vault, size, new=True)
    log = GroupCommit(store)
    plane = ControlPlane(
        store=store,
        vault=vault,
        gateway_vault=Vault(os.urandom(32)),
        log=log,
        arns=Arns(ACCOUNT, REGION),
        clock=lambda: datetime.now(UTC),
        random_bytes=os.urandom,
        rates=CallRates({Kind.READ: 0, Kind.WRITE: 0}),
    )
    try:
        yield Site(Dispatcher(plane), key)
    finally:
        log.close()
        store.close()


@contextmanager
def stores(backend: str) -> Iterator[Callable[[], str]]:
    """What gives the URL of a new store, in SQLite or PostgreSQL."""
    if backend == "sqlite":
        with TemporaryDirectory(prefix="hatchway-bench-") as directory:
            made = iter(range(10))
            yield lambda: f"sqlite:///{Path(directory, f'{next(made)}.db')}"
        return
    programs = server_programs()
    if programs is None:
        raise RuntimeError("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        yield server.new_database
