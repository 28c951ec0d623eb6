"""A control plane that machines may join, in this process: an installation of its own, served over TLS."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.control.harness import SharedServer

from hatchway.administration.joining import create_join_token
from hatchway.audit.group_commit import GroupCommit
from hatchway.control.application import create_application
from hatchway.control.machines import joining as joining_there
from hatchway.control.machines import renewal
from hatchway.control.own_keys import Authority, OwnKeys
from hatchway.control.plane import ControlPlane
from hatchway.control.process import open_plane
from hatchway.domain.machine import Role
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation, open_installation
from hatchway.keys.key_files import GATEWAY_KEY, MASTER_KEY, FollowedKeyFile
from hatchway.keys.vault import Vault
from hatchway.machines import calls, joining
from hatchway.machines.joining import JoinResult, join
from hatchway.settings import Address, DataDirectory
from hatchway.transport.listening.sources import Sources

STORE_URL = "postgresql+psycopg://hatchway:pass-word@db.example/hatchway"


@dataclass
class Site:
    """A control plane that serves."""

    installation: Installation
    plane: ControlPlane
    server: SharedServer
    now: datetime

    @property
    def directory(self) -> DataDirectory:
        return self.installation.directory

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    def token(self, role: Role, **more: Any) -> str:
        return create_join_token(self.installation, role, store_url=STORE_URL, **more).token

    def join(self, path: Path, role: Role = Role.CONTROL, **more: Any) -> JoinResult:
        return join(DataDirectory(path), self.token(role, **more), [self.url])

    def serve(self, plane: ControlPlane) -> None:
        self.server.application = create_application(plane, self.directory.ca_certificate)

    def events(self, name: str) -> list[dict[str, Any]]:
        with self.installation.store.read() as tx:
            bodies = [json.loads(each.body) for each in tx.audit_records.find()]
        return [body for body in bodies if body["eventName"] == name]

    @contextmanager
    def without_the_cas_key(self) -> Iterator[None]:
        """What a control plane is that joined itself."""
        assert self.plane.own_keys is not None
        elsewhere = Authority(self.directory.ca_certificate, self.directory.path / "none")
        self.serve(replace(self.plane, own_keys=replace(self.plane.own_keys, authority=elsewhere)))
        yield
        self.serve(self.plane)


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = DataDirectory(tmp_path_factory.mktemp("site") / "data")
    shutil.copytree(template, directory.path)
    with ExitStack() as stack:
        installation = stack.enter_context(open_installation(directory, None))
        own_keys = OwnKeys(
            FollowedKeyFile(MASTER_KEY, directory.master_key, {}),
            FollowedKeyFile(GATEWAY_KEY, directory.gateway_key, {}),
            Authority(directory.ca_certificate, directory.ca_key),
        )
        followed = FollowedKeyFile(GATEWAY_KEY, directory.gateway_key, {})
        audit = GroupCommit(installation.store)
        stack.callback(audit.close)
        master = FollowedKeyFile(MASTER_KEY, directory.master_key, {})
        vault = Vault(*master.held.all, changed=master.changed)
        installation = replace(installation, vault=vault)
        plane = open_plane(installation.store, vault, Vault(*followed.held.all), audit, own_keys=own_keys)
        patient = Sources(time.monotonic, may_waste=10**6, all_may_waste=10**6, may_fail=10**6)
        server = SharedServer(directory.server_certificate, directory.ca_certificate, patient)
        stack.callback(server.close)
        ApiLocation.of(
            Address("127.0.0.1", server.port),
            "localhost",
            private_ca=True,
            certificate=directory.server_certificate,
        ).write(directory)
        site = Site(installation, plane, server, datetime.now(UTC))
        site.plane = replace(plane, clock=lambda: site.now)
        site.serve(site.plane)
        yield site


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(calls, "_POLL_SECONDS", 0.01)
    for module in (calls, joining):
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    for there in (renewal, joining_there):
        monkeypatch.setattr(there, "PAUSE", timedelta(0))
    site.now = datetime.now(UTC)
