"""What the scenario runs in: a server, two hosts and three users, gone when the context ends."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hatchway.account.fleet import apply_fleet
from hatchway.administration.access_keys import IntoProfile, KeysOnServer
from hatchway.administration.account import enroll_host
from hatchway.audit.local_trail import administrator
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.setup.aws_profile import AwsProfile, SharedFiles, write_profile
from hatchway.demo import scenario
from hatchway.demo.hosts import (
    HostPlan,
    Programs,
    SharedSettings,
    os_user_for,
    privilege_separation,
    ssh_port,
    start_host,
)
from hatchway.domain.account import Account
from hatchway.errors import CommandFailed
from hatchway.fleet import parse_fleet
from hatchway.installation.creation import create_installation
from hatchway.installation.installation import Installation, open_installation
from hatchway.keys.access_keys import NewAccessKey
from hatchway.settings import DataDirectory
from hatchway.store import Store
from hatchway.supervision.processes import Processes

ADMINISTRATOR: Final = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the scenario runs in. `known_hosts` are the hosts' public keys by instance id."""

    directory: Path
    store: Store
    programs: Programs
    instances: dict[str, str]
    subnets: dict[str, str]
    known_hosts: dict[str, str]
    os_user: str
    port: int

    def api(self, user: str, service: str) -> Any:
        """botocore's client of a service, as a user of the account."""
        return Profile(ProfileOptions(profile=user)).api(service)

    def grant(self, user: str, policy_name: str, document: dict[str, Any]) -> None:
        """Gives a user a policy, as the account's administrator, through the API."""
        iam = self.api(ADMINISTRATOR, "iam")
        iam.put_user_policy(UserName=user, PolicyName=policy_name, PolicyDocument=json.dumps(document))


@contextmanager
def set_up(programs: Programs) -> Iterator[Environment]:
    """Sets everything up, and takes it down again however the context ends.

    Raises:
        CommandFailed: something does not start.
    """
    with ExitStack() as down:
        directory = Path(down.enter_context(tempfile.TemporaryDirectory(prefix="hatchway-demo-")))
        files = SharedFiles(directory / "aws" / "config", directory / "aws" / "credentials")
        down.enter_context(_environment(files, directory / "cache"))
        down.enter_context(privilege_separation(programs))
        processes = down.enter_context(Processes())
        data_directory = DataDirectory(directory / "data")
        root_key = _install(data_directory)
        api_url = _start_server(data_directory, directory / "server.log", processes)
        write_profile(files, _administrator(root_key, api_url, data_directory))
        installation = down.enter_context(open_installation(data_directory, None))
        instances, subnets = _ids(installation)
        for user in scenario.USERS:
            KeysOnServer(installation).create(user, IntoProfile(name=user, files=files))
        tokens = {name: enroll_host(installation, name).token for name in scenario.HOSTS}
        port = ssh_port(list(scenario.HOSTS.values()))
        shared = SharedSettings(
            directory=directory,
            os_user=os_user_for(programs),
            api_url=api_url,
            ca_certificate=data_directory.ca_certificate,
        )
        known_hosts = {}
        for name, address in scenario.HOSTS.items():
            plan = HostPlan(
                name=name, instance_id=instances[name], address=address, port=port, token=tokens[name]
            )
            known_hosts[plan.instance_id] = start_host(plan, shared, programs, processes)
        yield Environment(
            directory=directory,
            store=installation.store,
            programs=programs,
            instances=instances,
            subnets=subnets,
            known_hosts=known_hosts,
            os_user=shared.os_user,
            port=port,
        )


@contextmanager
def _environment(files: SharedFiles, cache: Path) -> Iterator[None]:
    """Without what would lead us or our programs anywhere but to the demo; its AWS profiles, its cache."""
    before = dict(os.environ)
    foreign = [
        name
        for name in before
        if name.startswith(("AWS_", "HATCHWAY_")) or name.lower().endswith(("_proxy", "_ca_bundle"))
    ]
    try:
        for name in foreign:
            del os.environ[name]
        os.environ["AWS_CONFIG_FILE"] = str(files.config)
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(files.credentials)
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        os.environ["XDG_CACHE_HOME"] = str(cache)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _install(directory: DataDirectory) -> NewAccessKey:
    """A new installation with the scenario's fleet; its root access key."""
    now = datetime.now(UTC)
    account = Account(
        id=scenario.ACCOUNT, region=scenario.REGION, gateway_dns_name="localhost", created_at=now
    )
    root_key = create_installation(directory, None, account, now)
    with open_installation(directory, None) as installation:
        fleet = parse_fleet(json.dumps(scenario.fleet()).encode())
        apply_fleet(installation.store, fleet, now=now, administrator=administrator())
    return root_key


def _administrator(root_key: NewAccessKey, api_url: str, directory: DataDirectory) -> AwsProfile:
    return AwsProfile(
        name=ADMINISTRATOR,
        endpoint_url=api_url,
        region=scenario.REGION,
        ca_bundle=directory.ca_certificate,
        access_key_id=root_key.key.id,
        secret_access_key=root_key.secret,
    )


def _start_server(directory: DataDirectory, log: Path, processes: Processes) -> str:
    """Starts `hatchway serve` on ports that are free; the API's URL.

    Raises:
        CommandFailed: it ended instead.
    """
    command = [sys.executable, "-P", "-m", "hatchway", "serve", "--data-dir", str(directory.path)]
    command += ["--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]
    server = processes.start(command, log=log)
    assert server.stdout is not None
    words = server.stdout.readline().split()
    if words[:1] != ["ready"]:
        errors = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise CommandFailed(f"the server does not start: {errors[-1] if errors else 'no word from it'}")
    return dict(word.split("=", 1) for word in words[1:])["api"]


def _ids(installation: Installation) -> tuple[dict[str, str], dict[str, str]]:
    with installation.store.read() as tx:
        instances = {instance.name: instance.id for instance in tx.instances.find()}
        subnets = {subnet.name: subnet.id for subnet in tx.subnets.find()}
    return instances, subnets
