"""Machines join an installation by a token, over TLS, and come back for what they are to have.

The page is docs/scaling.md.
"""

import base64
import binascii
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.cli.in_process import run
from tests.gateway.account import ENDPOINT, endpoint
from tests.machines.site import STORE_URL, Site

from hatchway.administration import certificate_authority, gateway_key, master_key
from hatchway.administration.joining import (
    delete_join_token,
    list_join_tokens,
    list_machines,
    remove_machine,
)
from hatchway.administration.key_steps import Step
from hatchway.administration.promotion import promote
from hatchway.cli import join_commands
from hatchway.control.housekeeping.tasks import lead
from hatchway.control.machines import grants, renewal, requests
from hatchway.control.machines import joining as joining_there
from hatchway.control.machines.certificates import issue_certificates
from hatchway.control.machines.requests import LARGEST_REQUEST
from hatchway.control.machines.unfinished import RETENTION, purge_unfinished_machines
from hatchway.control.own_keys import Authority, OwnKeys
from hatchway.domain.machine import MACHINE_TOKEN, KeyState, Role
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation.backup import make_backup
from hatchway.installation.installation import open_installation
from hatchway.installation.joined import Joined
from hatchway.installation.restore import restore_backup
from hatchway.keys.key_files import GATEWAY_KEY, MASTER_KEY, FollowedKeyFile, read_master_keys
from hatchway.keys.machines import AUTHORITY, Grant, new_machine_key, put_grant
from hatchway.keys.vault import Vault
from hatchway.machines import api, calls, join_tokens, joining
from hatchway.machines.api import Refused
from hatchway.machines.following import renew
from hatchway.machines.joining import join
from hatchway.pki.certificate_authority import SERVER_LIFETIME, create_ca
from hatchway.pki.certificates import certificate_names, certificates_in, expiry, is_issued_by
from hatchway.pki.renewal import RENEW_BEFORE
from hatchway.server.renewal import try_to_ask
from hatchway.settings import DataDirectory
from hatchway.store import MachineMembership, MachineRemoved

pytestmark = pytest.mark.usefixtures("at_once")


def files(path: Path) -> dict[str, int]:
    """Their modes."""
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.iterdir()}


def test_a_control_plane_gets_what_it_needs_and_never_the_cas_key(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "cp")
    got = DataDirectory(tmp_path / "cp")
    assert files(got.path) == {
        "master.key": 0o600,
        "gateway.key": 0o600,
        "machine.json": 0o600,
        "store.url": 0o600,
        "server.pem": 0o600,
        "ca.pem": 0o644,
    }
    for name in ("master.key", "gateway.key", "ca.pem"):
        assert (got.path / name).read_bytes() == (site.directory.path / name).read_bytes()
    assert got.store_location.read_text() == STORE_URL + "\n"
    certificate = got.server_certificate.read_bytes()
    assert is_issued_by(certificate, site.directory.ca_certificate.read_bytes())
    assert set(certificate_names(certificate)) == set(result.names)
    assert "localhost" in result.names
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(got.server_certificate)
    assert Joined.read(got) == result.machine


def test_a_gateway_gets_neither_the_master_key_nor_names_of_its_own_choice(
    site: Site, tmp_path: Path
) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY, vpcs=("lab",), names=("gw.localhost",))
    assert set(files(tmp_path / "gw")) == {"gateway.key", "machine.json", "store.url", "server.pem", "ca.pem"}
    assert result.names == ("localhost", "gw.localhost")
    assert result.machine.vpcs == ("lab",)
    token = site.token(Role.GATEWAY)
    with pytest.raises(Refused, match="a gateway's certificate is for the gateways' names"):
        join(DataDirectory(tmp_path / "other"), token, [site.url], ["api.localhost"])
    assert not (tmp_path / "other").exists()


def test_a_gateway_that_is_bound_to_an_endpoint_is_certified_for_that_ones_name(
    site: Site, tmp_path: Path
) -> None:
    with site.installation.store.write() as tx:
        tx.endpoints.put(endpoint(name="far", gateway_dns_name="far.localhost"))
    result = site.join(tmp_path / "gw", Role.GATEWAY, endpoints=("far",))
    assert result.names == ("far.localhost",)
    assert result.machine.endpoints == ("far",)
    assert Joined.read(DataDirectory(tmp_path / "gw")) == result.machine
    for role, named, problem in (
        (Role.GATEWAY, "none", "--endpoint 'none': there is no such endpoint"),
        (Role.CONTROL, "far", "--endpoint is for gateways"),
    ):
        with pytest.raises(BadUsage, match=problem):
            site.token(role, endpoints=(named,))
    with site.installation.store.write() as tx:
        tx.endpoints.delete(ENDPOINT)


def test_a_machine_gets_a_certificate_for_as_many_names_as_it_can_have_and_is_told_of_the_others(
    site: Site, tmp_path: Path
) -> None:
    with site.installation.store.write() as tx:
        vpc_id = tx.vpcs.find()[0].id
        made = [
            endpoint(f"eice-{number:017x}", vpc_id=vpc_id, gateway_dns_name=f"endpoint-{number}.localhost")
            for number in range(4000)
        ]
        tx.endpoints.put_all(made)
    try:
        result = site.join(tmp_path / "gw", Role.GATEWAY)
        certificate = DataDirectory(tmp_path / "gw").server_certificate.read_bytes()
        assert certificate_names(certificate) == result.names
        assert result.names[0] == "localhost"
        assert result.left_out == 4001 - len(result.names) > 1000
        assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == []
        wide = site.join(tmp_path / "wide", Role.GATEWAY, names=("*.localhost",))
        assert (wide.names, wide.left_out) == (("localhost", "*.localhost"), 0)
    finally:
        with site.installation.store.write() as tx:
            for each in made:
                tx.endpoints.delete(each.id)


@pytest.mark.parametrize("given", [{"endpoints": ("gate",)}, {"vpcs": ("lab",)}])
def test_a_gateway_is_none_that_an_older_control_plane_would_bind_to_nothing(
    given: dict[str, tuple[str, ...]], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And joins as the same machine once none of them is left."""
    with site.installation.store.write() as tx:
        tx.endpoints.put(endpoint(name="gate"))
    token = site.token(Role.GATEWAY, **given)
    directory = DataDirectory(tmp_path / "gw")
    with monkeypatch.context() as older:
        real = grants.answer_of
        older.setattr(
            joining_there, "answer_of", lambda *given: {**real(*given), "vpcs": (), "endpoints": None}
        )
        with pytest.raises(CommandFailed, match=r"an older control plane has answered.*with the same token"):
            join(directory, token, [site.url])
    assert [each.name for each in directory.path.iterdir()] == [".unfinished-join"]
    (machine,) = [each for each in list_machines(site.installation) if not each.finished]
    joined = join(directory, token, [site.url]).machine
    assert joined.machine_id == machine.id
    assert (joined.vpcs, joined.endpoints) == (given.get("vpcs", ()), given.get("endpoints", ()))
    assert Joined.read(directory) == joined
    with site.installation.store.write() as tx:
        tx.endpoints.delete(ENDPOINT)


def test_what_a_token_says_of_vpcs_and_endpoints_no_program_takes_for_a_token_that_would_not_look(
    site: Site,
) -> None:
    """One of before read two parts, the latter a digest in base64."""
    token = site.token(Role.GATEWAY, vpcs=("lab",))
    secret, pin, bound = join_tokens.read_join_token(token)
    assert bound == join_tokens.binding(["lab", "lab"], []) != join_tokens.binding([], ["lab"])
    assert join_tokens.read_join_token(site.token(Role.GATEWAY))[2] is None
    for text in (token, join_tokens.write_join_token(secret, None, bound)):
        with pytest.raises(binascii.Error):
            base64.b64decode(text.partition(".")[2] + "=", altchars=b"-_", validate=True)
    assert join_tokens.read_join_token(join_tokens.write_join_token(secret, None, bound)) == (
        secret,
        None,
        bound,
    )
    assert join_tokens.read_join_token(join_tokens.write_join_token(secret, None)) == (secret, None, None)
    assert join_tokens.read_join_token(join_tokens.write_join_token(secret, pin)) == (secret, pin, None)


def test_a_gateway_that_is_bound_to_endpoints_is_no_machine_to_a_program_that_knows_of_none(
    site: Site, tmp_path: Path
) -> None:
    """It took `vpcs` from machine.json, which is empty here, and served all."""
    joined = replace(site.join(tmp_path / "gw", Role.GATEWAY).machine, endpoints=("gate",))
    assert "vpcs" in json.loads(replace(joined, endpoints=()).text)
    assert "vpcs" not in json.loads(joined.text)


def test_who_joined_by_whose_token_is_in_the_trail_and_no_secret_in_the_store(
    site: Site, tmp_path: Path
) -> None:
    result = site.join(tmp_path / "cp")
    machine_id = result.machine.machine_id
    (event,) = [
        one for one in site.events("JoinMachine") if one["responseElements"]["machineId"] == machine_id
    ]
    by = event["requestParameters"]["joinTokenId"]
    (made,) = [one for one in site.events("CreateJoinToken") if one["responseElements"]["joinTokenId"] == by]
    assert event["sourceIPAddress"] == "127.0.0.1"
    assert made["requestParameters"]["store"] == "hatchway at db.example"
    held = site.directory.store.read_bytes() + Path(f"{site.directory.store}-wal").read_bytes()
    secrets = [result.machine.token, "pass-word", site.directory.master_key.read_text().strip()]
    assert [secret for secret in secrets if secret.encode() in held] == []


def test_a_token_is_good_as_often_as_it_was_made_for_and_until_it_ends(site: Site, tmp_path: Path) -> None:
    token = site.token(Role.GATEWAY, max_uses=2)
    for name in ("one", "two"):
        join(DataDirectory(tmp_path / name), token, [site.url])
    late, ended = site.token(Role.CONTROL, lifetime_seconds=60), site.token(Role.CONTROL)
    delete_join_token(site.installation, ended[4 : ended.index("_", 4)])
    site.now = max(site.now, datetime.now(UTC)) + timedelta(seconds=61)
    for bad in (token, late, ended):
        with pytest.raises(Refused, match="the join token is not valid, or has expired"):
            join(DataDirectory(tmp_path / "more"), bad, [site.url])
    assert not (tmp_path / "more").exists()
    used = {each.id: each.uses for each in list_join_tokens(site.installation)}
    assert used[token[4 : token.index("_", 4)]] == 2


@pytest.fixture(params=["before the answer is read", "before the files are in place"])
def interruption(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Ends a joining once; what it takes away from the list is how often yet."""
    left = ["once"]

    def ends(real: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
        def instead(*arguments: Any) -> Any:
            done = real(*arguments) if after else None
            if left:
                left.pop()
                raise CommandFailed("cannot ask localhost: the connection was reset")
            return done if after else real(*arguments)

        return instead

    if request.param == "before the answer is read":
        monkeypatch.setattr(api, "_ask", _only_of_joining(api._ask, ends))
    else:
        monkeypatch.setattr(joining, "_put_files", ends(joining._put_files, after=False))
    yield left


def _only_of_joining(real: Callable[..., Any], ends: Callable[..., Any]) -> Callable[..., Any]:
    interrupted = ends(real, after=True)

    def ask(url: Any, context: Any, path: str, *more: Any) -> Any:
        return (interrupted if path == "/machine/v1/join" else real)(url, context, path, *more)

    return ask


def test_a_joining_that_was_interrupted_goes_on_by_the_same_token_as_the_same_machine(
    site: Site, tmp_path: Path, interruption: list[str]
) -> None:
    token, got = site.token(Role.CONTROL), DataDirectory(tmp_path / "cp")
    with pytest.raises(CommandFailed, match=r"run the same command again with the same token"):
        join(got, token, [site.url])
    assert set(files(got.path)) == {".unfinished-join"}
    assert files(got.path)[".unfinished-join"] == 0o600
    (ghost,) = [each for each in list_machines(site.installation) if not each.finished]
    # Its token is nobody else's, for it is used up.
    with pytest.raises(Refused, match="the join token is not valid"):
        join(DataDirectory(tmp_path / "another"), token, [site.url])
    result = join(got, token, [site.url])
    assert result.machine.machine_id == ghost.id
    assert result.finished and result.certified
    assert ".unfinished-join" not in files(got.path)
    assert renew(got, result.machine, site.now) == []
    assert {each.uses for each in list_join_tokens(site.installation) if each.id in token} == {1}
    joins = [one["responseElements"] for one in site.events("JoinMachine") if ghost.id in str(one)]
    assert sorted(one.get("resumed", False) for one in joins) == [False, True]
    (machine,) = [each for each in list_machines(site.installation) if each.id == ghost.id]
    assert machine.finished
    # Once it has come back by its own token, the join token is good for nothing any more.
    private_key = json.loads(result.machine.text)["private_key"]
    shutil.rmtree(got.path)
    got.path.mkdir()
    kept = {"token_sha256": joining_digest(token), "private_key": private_key}
    got.unfinished_join.write_text(json.dumps(kept))
    got.unfinished_join.chmod(0o600)
    with pytest.raises(Refused, match="has joined already"):
        join(got, token, [site.url])
    assert not got.unfinished_join.exists()
    remove_machine(site.installation, ghost.id)


def joining_digest(token: str) -> str:
    return hashlib.sha256(join_tokens.read_join_token(token)[0].encode()).hexdigest()


def test_one_that_joins_again_and_again_does_not_fill_the_trail(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, *_ = join_tokens.read_join_token(site.token(Role.GATEWAY))
    monkeypatch.setattr(joining_there, "PAUSE", timedelta(seconds=2))
    _, public = new_machine_key()
    body = json.dumps({"name": "gw", "public_key": base64.b64encode(public).decode()}).encode()
    statuses = [post(site, "/machine/v1/join", token, body)[0] for _ in range(3)]
    assert statuses == [200, 429, 429]
    (machine,) = [each for each in list_machines(site.installation) if not each.finished]
    assert len([one for one in site.events("JoinMachine") if machine.id in str(one)]) == 1
    site.now += timedelta(seconds=3)
    assert post(site, "/machine/v1/join", token, body)[0] == 200
    remove_machine(site.installation, machine.id)


def test_a_machine_that_never_came_back_is_listed_so_and_taken_out_after_a_day(site: Site) -> None:
    token, *_ = join_tokens.read_join_token(site.token(Role.GATEWAY))
    _, public = new_machine_key()
    body = json.dumps({"name": "ghost", "public_key": base64.b64encode(public).decode()}).encode()
    status, text = post(site, "/machine/v1/join", token, body)
    ghost = json.loads(text)
    assert status == 200
    store = site.installation.store
    site.now += RETENTION - timedelta(seconds=1)
    assert purge_unfinished_machines(site.plane, store) == 0
    site.now += timedelta(seconds=2)
    assert purge_unfinished_machines(site.plane, store) == 1
    assert ghost["machine_id"] not in {each.id for each in list_machines(site.installation)}
    assert post(site, "/machine/v1/renew", ghost["token"], b"{}")[0] == 401
    removed = [one["responseElements"] for one in site.events("RemoveMachine")]
    assert {"name": "ghost", "role": "gateway", "unfinished": True} in removed


def test_a_machine_that_was_taken_out_joins_anew_by_one_command_and_keeps_its_own_files(
    site: Site, tmp_path: Path
) -> None:
    result = site.join(tmp_path / "cp")
    got = DataDirectory(tmp_path / "cp")
    got.audit_log.write_text("{}\n")
    remove_machine(site.installation, result.machine.machine_id)
    # As when another CA has taken the place of the one that it trusts: not even to ask is possible.
    former = create_ca("former", ["localhost"], site.now)
    got.ca_certificate.write_bytes(former.certificate)
    with pytest.raises(CommandFailed, match=r"not accepted: .*hatchway join --again"):
        renew(got, result.machine, site.now)
    again = join(got, site.token(Role.CONTROL), result.machine.api_urls, former=result.machine)
    assert again.machine.machine_id != result.machine.machine_id
    assert got.ca_certificate.read_bytes() == site.directory.ca_certificate.read_bytes()
    assert Joined.read(got) == again.machine
    assert renew(got, again.machine, site.now) == []
    assert got.audit_log.read_text() == "{}\n"
    # One that is known yet is that no more, and a gateway keeps no master key.
    gateway = join(got, site.token(Role.GATEWAY), [site.url], former=again.machine)
    assert not got.master_key.exists()
    assert {again.machine.machine_id, gateway.machine.machine_id} & {
        each.id for each in list_machines(site.installation)
    } == {gateway.machine.machine_id}
    remove_machine(site.installation, gateway.machine.machine_id)


def test_a_control_plane_that_was_taken_out_serves_no_more_and_neither_starts_nor_commands(
    site: Site, tmp_path: Path
) -> None:
    result = site.join(tmp_path / "cp")
    got = DataDirectory(tmp_path / "cp")
    membership = MachineMembership(site.installation.store, result.machine.machine_id)
    store = site.installation.store.only_while(membership.require)
    there = replace(site.plane, store=store, own_keys=site.plane.own_keys)
    site.serve(there)
    try:
        membership.look()
        assert get(site, "/readyz")[0] == 200
        with open_installation(got, site.directory.store_url):
            pass
        remove_machine(site.installation, result.machine.machine_id)
        with capture_logs() as logs:
            for _ in range(3):
                membership.look()
        assert [each["event"] for each in logs] == ["machine was taken out: it serves no more"]
        assert "hatchway join --again" in logs[0]["problem"]
        with capture_logs() as logs:
            assert [get(site, "/readyz")[0] for _ in range(2)] == [503, 503]
        assert logs == []
        assert post(site, "/machine/v1/renew", result.machine.token, b"{}")[0] == 503
        for use in (store.read, store.write, store.record):
            with pytest.raises(MachineRemoved), use():
                pytest.fail("it went on")
    finally:
        site.serve(site.plane)
    with (
        pytest.raises(CommandFailed, match=r"no longer belongs to the installation"),
        open_installation(got, site.directory.store_url),
    ):
        pass


def test_a_control_plane_that_joined_takes_the_place_of_the_first_machine_that_is_lost(
    site: Site, tmp_path: Path
) -> None:
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)
    result, other = site.join(tmp_path / "cp"), site.join(tmp_path / "gw", Role.GATEWAY)
    got = DataDirectory(tmp_path / "cp")
    state = ca_state(site)
    with open_installation(got, site.directory.store_url) as installation:
        for command in (certificate_authority.rotate, gateway_key.rotate):
            with pytest.raises(BadUsage, match="this machine joined"):
                command(installation, Step.ADD)  # type: ignore[arg-type]
        shutil.copy(DataDirectory(tmp_path / "gw").server_certificate, got.ca_key)
        with pytest.raises(CommandFailed, match="does not belong to the CA that issues now"):
            promote(installation)
        got.ca_key.unlink()
        promoted = promote(installation)
        assert promoted.machine_id == result.machine.machine_id
        assert promoted.next_ca is not None and not got.machine.exists()
        with pytest.raises(BadUsage, match="it is already the first one"):
            promote(installation)
        # It hands out the next CA's certificates, as the first machine did.
        keys = OwnKeys(
            FollowedKeyFile(MASTER_KEY, got.master_key, {}),
            FollowedKeyFile(GATEWAY_KEY, got.gateway_key, {}),
            Authority(got.ca_certificate, got.ca_key),
        )
        site.serve(replace(site.plane, own_keys=keys))
        try:
            gateway = DataDirectory(tmp_path / "gw")
            assert renew(gateway, other.machine, site.now) == ["ca.pem"]
            certificate_authority.rotate(installation, certificate_authority.Step.USE)
            assert got.ca_key.stat().st_mode & 0o777 == 0o600
            assert renew(gateway, other.machine, site.now) == ["ca.pem", "server.pem"]
        finally:
            site.serve(site.plane)
        assert is_issued_by(
            gateway.server_certificate.read_bytes(), certificates_in(got.ca_certificate.read_bytes())[0]
        )
    # The other tests go on with the first machine, as if nothing had been.
    with site.installation.store.write() as tx:
        tx.key_states.delete(AUTHORITY)
        if state is not None:
            tx.key_states.put(state)
    remove_machine(site.installation, other.machine.machine_id)


def ca_state(site: Site) -> KeyState | None:
    with site.installation.store.read() as tx:
        return tx.key_states.get(AUTHORITY)


def test_keys_that_were_rotated_since_a_backup_are_not_put_beside_a_database_of_now(
    site: Site, tmp_path: Path
) -> None:
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)
    backup, now = tmp_path / "backup", datetime.now(UTC)
    make_backup(site.directory, None, backup, now)
    # As it is where the store is a database elsewhere.
    (backup / "hatchway.db").unlink()
    told = json.loads((backup / "backup.json").read_text())
    told["store"] = "postgresql"
    del told["files"]["hatchway.db"]
    (backup / "backup.json").write_text(json.dumps(told))
    restored, url = DataDirectory(tmp_path / "restored"), site.directory.store_url
    first = lead(site.plane, None, is_first=True)
    first.start()
    with pytest.raises(CommandFailed, match="the first machine still runs"):
        restore_backup(backup, restored, url, now)
    first.stop()
    assert not restored.path.exists()
    restore_backup(backup, restored, url, now)
    assert restored.ca_key.read_bytes() == site.directory.ca_key.read_bytes()
    shutil.rmtree(restored.path)
    state = ca_state(site)
    with site.installation.store.write() as tx:
        tx.key_states.put(KeyState(kind=AUTHORITY, key_ids=("another",)))
    with pytest.raises(CommandFailed, match="the database does not use the private CA of the backup"):
        restore_backup(backup, restored, url, now)
    with site.installation.store.write() as tx:
        tx.key_states.delete(AUTHORITY)
        if state is not None:
            tx.key_states.put(state)
    gateway_key.rotate(site.installation, *Step)
    with pytest.raises(CommandFailed, match=r"the gateway key of the backup.*hatchway machine promote"):
        restore_backup(backup, restored, url, now)
    assert not restored.path.exists()


def test_what_cannot_be_joined_is_said_and_what_is_unfinished_is_listed_so(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join_commands, "_store_problem", lambda _url: None)
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)
    token = site.token(Role.CONTROL)
    got = str(tmp_path / "cp")
    assert "give --api-url" in run("join", token, "--data-dir", got).errors
    assert "leave out --again" in run("join", "--again", token, "--data-dir", got).errors
    public = base64.b64encode(new_machine_key()[1]).decode()
    body = json.dumps({"name": "ghost", "public_key": public}).encode()
    ghost = json.loads(post(site, "/machine/v1/join", token.partition(".")[0], body)[1])["machine_id"]
    listed = run("machine", "list", "--data-dir", str(site.directory.path)).output
    assert re.search(rf"{ghost}  ghost +control +unfinished ", listed)
    assert f"{ghost} began to join at " in listed
    joined = run("join", site.token(Role.GATEWAY), "--api-url", site.url, "--data-dir", got)
    assert "hatchway gateway --data-dir" in joined.output
    again = run("join", site.token(Role.GATEWAY), "--data-dir", got)
    assert "let it join again with --again" in again.errors
    anew = run("join", "--again", site.token(Role.GATEWAY), "--data-dir", got)
    assert "or restart it if it is running" in anew.output
    assert "belongs to a gateway" in run("join-token", "list", "--data-dir", got).errors
    names = [each.name for each in list_machines(site.installation) if each.role is Role.GATEWAY]
    assert len(names) == 1
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)


def test_a_gateways_directory_is_said_to_be_one(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    with (
        pytest.raises(CommandFailed, match="belongs to a gateway, which has no master key"),
        open_installation(DataDirectory(tmp_path / "gw"), None),
    ):
        pass
    remove_machine(site.installation, result.machine.machine_id)


def test_a_disk_without_room_costs_no_use_of_the_token(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _start: int, size: int) -> None:
        assert size > 65_536
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    token = site.token(Role.CONTROL)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(CommandFailed, match=r"its disk is full.*or give a directory on another$"):
            join(DataDirectory(tmp_path / "full"), token, [site.url])
    assert not list(tmp_path.glob("**/.unfinished-join"))
    join(DataDirectory(tmp_path / "another"), token, [site.url])


def test_another_api_is_asked_where_the_first_is_away(site: Site, tmp_path: Path) -> None:
    token, away = site.token(Role.GATEWAY, max_uses=2), "https://localhost:1"
    for number, urls in enumerate(([away, site.url], [site.url, away])):
        path = DataDirectory(tmp_path / str(number))
        assert join(path, token, urls).certified
    with pytest.raises(CommandFailed, match="cannot ask localhost:1"):
        join(DataDirectory(tmp_path / "more"), token, [away])


def test_a_token_is_shown_to_nobody_but_who_proves_to_be_of_its_ca(site: Site, tmp_path: Path) -> None:
    token = site.token(Role.CONTROL)
    secret, *_ = join_tokens.read_join_token(token)
    forged = join_tokens.write_join_token(secret, bytes(32))
    with pytest.raises(CommandFailed, match="does not name the CA of this join token"):
        join(DataDirectory(tmp_path / "cp"), forged, [site.url])
    with pytest.raises(CommandFailed, match="is not accepted"):
        join(DataDirectory(tmp_path / "cp"), secret, [site.url])
    join(DataDirectory(tmp_path / "cp"), token, [site.url])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hwj_",
        "hwe_et-0123456789abcdef0_" + "A" * 43,
        *("{}.short", "{}.!", "{}.", "{}..", "{}..short", "{}..AAAAAAAAAAA!", "{}..AAAAAAAAAAAA.A"),
    ],
)
def test_what_is_no_whole_token_is_told_so_before_anybody_is_asked(
    text: str, site: Site, tmp_path: Path
) -> None:
    secret, *_ = join_tokens.read_join_token(site.token(Role.CONTROL))
    with pytest.raises(BadUsage, match="this is no join token"):
        join(DataDirectory(tmp_path / "cp"), text.format(secret), ["https://localhost:1"])


@pytest.mark.parametrize("url", ["http://a:1", "https://", "https://a:0", "https://a/x", "https://u@a", "x"])
def test_the_api_is_asked_by_https_alone(url: str, site: Site, tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="is not the https:// URL"):
        join(DataDirectory(tmp_path / "cp"), site.token(Role.CONTROL), [url])


def test_no_name_is_left_out_without_a_word(site: Site, tmp_path: Path) -> None:
    token = site.token(Role.CONTROL)
    with pytest.raises(Refused, match=r"the private CA may not issue for cp2\.elsewhere\.example"):
        join(DataDirectory(tmp_path / "cp"), token, [site.url], ["cp2.elsewhere.example"])
    with pytest.raises(BadUsage, match="neither a host name nor an address"):
        join(DataDirectory(tmp_path / "cp"), token, [site.url], ["a_b"])
    with pytest.raises(BadUsage, match="the private CA may not issue certificates for it"):
        site.token(Role.GATEWAY, names=("gw.elsewhere.example",))
    result = join(DataDirectory(tmp_path / "cp"), token, [site.url], ["cp2.localhost", "10.1.2.3"])
    assert {"cp2.localhost", "10.1.2.3"} <= set(result.names)
    renew(DataDirectory(tmp_path / "cp"), result.machine, site.now, ["cp3.localhost", "cp3.elsewhere"])
    names = certificate_names(DataDirectory(tmp_path / "cp").server_certificate.read_bytes())
    assert {"cp2.localhost", "10.1.2.3", "cp3.localhost"} <= set(names)


def test_a_control_plane_without_the_cas_key_has_the_one_with_it_issue(site: Site, tmp_path: Path) -> None:
    ended = threading.Event()

    def issue() -> None:
        while not ended.wait(0.02):
            issue_certificates(site.plane)

    issuing = threading.Thread(target=issue)
    with site.without_the_cas_key():
        issuing.start()
        try:
            result = site.join(tmp_path / "gw", Role.GATEWAY)
        finally:
            ended.set()
            issuing.join()
    assert result.certified
    issued = {one["requestParameters"]["machineId"] for one in site.events("IssueCertificate")}
    assert result.machine.machine_id in issued


def test_a_machine_whose_certificate_does_not_come_has_all_else_and_fetches_it_later(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CERTIFICATE_SECONDS", 0.0)
    got = DataDirectory(tmp_path / "gw")
    with site.without_the_cas_key():
        result = site.join(got.path, Role.GATEWAY)
        assert issue_certificates(replace(site.plane, own_keys=None)) == 0
    assert not result.certified
    assert not got.server_certificate.exists()
    assert renew(got, result.machine, site.now) == ["server.pem"]


def test_a_key_that_was_damaged_on_its_way_is_not_taken() -> None:
    with pytest.raises(CommandFailed, match="the API has given a damaged key"):
        calls.read_given("nonsense")


def test_a_certificate_is_renewed_before_it_ends_and_no_sooner(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    got = DataDirectory(tmp_path / "gw")
    before = got.server_certificate.read_bytes()
    assert renew(got, result.machine, site.now) == []
    site.now += SERVER_LIFETIME - RENEW_BEFORE + timedelta(days=1)
    assert renew(got, result.machine, site.now) == ["server.pem"]
    assert expiry(got.server_certificate.read_bytes()) > expiry(before)
    assert renew(got, result.machine, site.now) == []
    (machine,) = [each for each in list_machines(site.installation) if each.id == result.machine.machine_id]
    assert machine.expires_at == expiry(got.server_certificate.read_bytes())


def test_a_certificate_of_a_clock_that_is_wrong_takes_no_good_ones_place(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    good = (tmp_path / "gw" / "server.pem").read_bytes()
    # The certificate is near its end by a clock that is right; that of the one with the CA's key is not.
    right = site.now + SERVER_LIFETIME - RENEW_BEFORE + timedelta(days=1)
    for wrong in (right + timedelta(days=2), right - timedelta(days=1000)):
        site.now = wrong
        with pytest.raises(CommandFailed, match="clocks of this machine and of the one with the CA's key"):
            renew(DataDirectory(tmp_path / "gw"), result.machine, right)
        assert (tmp_path / "gw" / "server.pem").read_bytes() == good
    # Nor is one by a clock that was ahead taken for one that was given just now.
    site.now = right
    assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == ["server.pem"]


def test_machines_follow_another_ca_which_waits_for_each_of_them_by_name(site: Site, tmp_path: Path) -> None:
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)
    off, result = site.join(tmp_path / "off", Role.GATEWAY), site.join(tmp_path / "gw", Role.GATEWAY)
    got, rotate = DataDirectory(tmp_path / "gw"), certificate_authority.rotate
    rotate(site.installation, certificate_authority.Step.ADD)
    with pytest.raises(CommandFailed, match="and 1 more cannot do this step yet, and has not said"):
        rotate(site.installation, certificate_authority.Step.USE)
    assert renew(got, result.machine, site.now) == ["ca.pem"]
    with pytest.raises(CommandFailed, match=rf"\({off.machine.machine_id}\) cannot do this step yet"):
        rotate(site.installation, certificate_authority.Step.USE)
    # It may be gone for good, and nobody has the time.
    rotate(site.installation, certificate_authority.Step.USE, force=True)
    assert renew(got, result.machine, site.now) == ["ca.pem", "server.pem"]
    first = site.directory.ca_certificate.read_bytes()
    assert is_issued_by(got.server_certificate.read_bytes(), first)
    # The server's own certificate is another's matter.
    own = site.directory.server_certificate.rename(tmp_path / "server.pem")
    try:
        with pytest.raises(CommandFailed, match=rf"\({off.machine.machine_id}\) cannot .* the former CA yet"):
            rotate(site.installation, certificate_authority.Step.DROP)
    finally:
        own.rename(site.directory.server_certificate)
    with site.installation.store.read() as tx:
        (event,) = [
            event
            for each in tx.audit_records.find(event_name="RotateCertificateAuthority")
            if "leftBehind" in (event := json.loads(each.body)["requestParameters"])
        ]
    assert event == {"step": "use", "leftBehind": [off.machine.machine_id]}


def test_an_api_of_the_version_before_is_not_told_which_cas_a_machine_trusts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    monkeypatch.setattr(requests, "_FIELDS", requests._FIELDS - {"authorities"})
    assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == []
    (kept,) = [each for each in list_machines(site.installation) if each.id == result.machine.machine_id]
    assert not [each for each in kept.key_ids if each.startswith("ca:")]
    monkeypatch.undo()
    assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == []
    (kept,) = [each for each in list_machines(site.installation) if each.id == result.machine.machine_id]
    assert [each for each in kept.key_ids if each.startswith("ca:")]
    remove_machine(site.installation, result.machine.machine_id)


def test_a_machine_that_was_removed_gets_nothing_any_more(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    remove_machine(site.installation, result.machine.machine_id)
    with pytest.raises(Refused, match="this machine is not known, or no longer"):
        renew(DataDirectory(tmp_path / "gw"), result.machine, site.now)
    joined = result.machine
    with capture_logs() as logs:
        try_to_ask(DataDirectory(tmp_path / "gw"), joined, ())
        try_to_ask(DataDirectory(tmp_path / "gw"), replace(joined, api_urls=("https://a:1",)), ())
    assert [each["event"] for each in logs if each["log_level"] in ("error", "warning")] == [
        "this machine is given nothing any more",
        "keys and certificate not looked after",
    ]
    with pytest.raises(CommandFailed, match="there is no machine"):
        remove_machine(site.installation, result.machine.machine_id)


def test_a_row_that_calls_a_gateway_a_control_plane_gives_it_nothing(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    with site.installation.store.write() as tx:
        row = tx.machines.get(result.machine.machine_id)
        assert row is not None
        tx.machines.put(replace(row, role=Role.CONTROL))
    with pytest.raises(Refused):
        renew(DataDirectory(tmp_path / "gw"), result.machine, site.now)
    forged = Grant(
        token_hash=MACHINE_TOKEN.hash(MACHINE_TOKEN.read(result.machine.token)),
        role=Role.CONTROL,
        public_key=bytes(range(32)),
    )
    with site.installation.store.write() as tx:
        put_grant(tx, Vault(os.urandom(32)), result.machine.machine_id, forged)
    with pytest.raises(Refused):
        renew(DataDirectory(tmp_path / "gw"), result.machine, site.now)


def test_the_directory_must_be_empty_and_the_token_stays_good(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    token = site.token(Role.CONTROL)
    with pytest.raises(CommandFailed, match="is not empty"):
        join(DataDirectory(tmp_path), token, [site.url])
    join(DataDirectory(tmp_path / "cp"), token, ["https://localhost:1", site.url][::-1])


def keys_at(path: Path, name: str) -> bytes:
    return (path / name).read_bytes()


@pytest.mark.parametrize(
    ("role", "name", "rotate"),
    [(Role.GATEWAY, "gateway.key", gateway_key.rotate), (Role.CONTROL, "master.key", master_key.rotate)],
)
def test_another_key_goes_step_by_step_and_waits_for_machines_that_are_behind(
    site: Site, tmp_path: Path, role: Role, name: str, rotate: Callable[..., object]
) -> None:
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)
    result = site.join(tmp_path / "it", role)
    with pytest.raises(BadUsage, match="joined: run --step add, use and drop"):
        rotate(site.installation, *Step)
    for step in Step:
        before = keys_at(tmp_path / "it", name)
        rotate(site.installation, step)
        assert keys_at(site.directory.path, name) != before == keys_at(tmp_path / "it", name)
        if step is not Step.DROP:
            with pytest.raises(CommandFailed, match=result.machine.machine_id):
                rotate(site.installation, list(Step)[list(Step).index(step) + 1])
        assert renew(DataDirectory(tmp_path / "it"), result.machine, site.now) == [name]
        assert keys_at(tmp_path / "it", name) == keys_at(site.directory.path, name)
        assert renew(DataDirectory(tmp_path / "it"), result.machine, site.now) == []
    handed = [
        one for one in site.events("HandOutKeys") if one["requestParameters"]["machineId"] in str(result)
    ]
    assert len(handed) == 3
    assert (
        Vault(read_master_keys(site.directory.master_key, {}).seals).key_id == site.installation.vault.key_id
    )


def test_a_control_plane_that_has_not_followed_hands_out_nothing(site: Site, tmp_path: Path) -> None:
    """It would take from a machine what that has from another already."""
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    own = site.plane.own_keys
    assert own is not None
    behind = tmp_path / "gateway.key"
    shutil.copy(site.directory.gateway_key, behind)
    behind.chmod(0o600)
    gateway_key.rotate(site.installation, Step.ADD)
    assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == ["gateway.key"]
    site.serve(replace(site.plane, own_keys=replace(own, gateway=FollowedKeyFile(GATEWAY_KEY, behind, {}))))
    try:
        assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == []
        with pytest.raises(Refused, match="keys are being replaced: try again"):
            site.join(tmp_path / "other", Role.GATEWAY)
    finally:
        site.serve(site.plane)
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)
    gateway_key.rotate(site.installation, Step.USE, Step.DROP)


def test_a_control_plane_with_former_cas_names_none_to_machines(site: Site, tmp_path: Path) -> None:
    """What a machine has from one that followed, it would lose again."""
    own = site.plane.own_keys
    assert own is not None
    behind = tmp_path / "ca.pem"
    if len(certificates_in(site.directory.ca_certificate.read_bytes())) == 1:
        certificate_authority.rotate(site.installation, certificate_authority.Step.ADD)
    behind.write_bytes(certificates_in(site.directory.ca_certificate.read_bytes())[0])
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    of_before = Authority(behind, site.directory.ca_key)
    site.serve(replace(site.plane, own_keys=replace(own, authority=of_before)))
    try:
        assert renew(DataDirectory(tmp_path / "gw"), result.machine, site.now) == []
    finally:
        site.serve(site.plane)
    has = (tmp_path / "gw" / "ca.pem").read_bytes()
    assert has == site.directory.ca_certificate.read_bytes() != behind.read_bytes()


def test_a_key_that_was_taken_away_is_given_anew(site: Site, tmp_path: Path) -> None:
    result = site.join(tmp_path / "cp")
    for name in ("master.key", "gateway.key"):
        (tmp_path / "cp" / name).unlink()
    given = renew(DataDirectory(tmp_path / "cp"), result.machine, site.now)
    assert set(given) == {"master.key", "gateway.key"}
    assert files(tmp_path / "cp")["master.key"] == 0o600
    remove_machine(site.installation, result.machine.machine_id)


def test_a_machine_that_joined_rotates_nothing_itself(site: Site) -> None:
    site.directory.machine.touch()
    try:
        for rotate in (gateway_key.rotate, master_key.rotate):
            with pytest.raises(BadUsage, match="this machine joined"):
                rotate(site.installation, Step.ADD)
    finally:
        site.directory.machine.unlink()


def get(site: Site, path: str) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(site.server.ca))
    with closing(http.client.HTTPSConnection("localhost", site.server.port, context=context)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def post(site: Site, path: str, token: str, body: bytes) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(site.server.ca))
    with closing(http.client.HTTPSConnection("localhost", site.server.port, context=context)) as connection:
        connection.request("POST", path, body, {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


BAD_BODIES = {
    "not a JSON document": b"{",
    "is a JSON object with": b"[]",
    "key_ids, name, names": b'{"role": "control"}',
    "name is a text": b'{"name": 1}',
    "1 to 253": b'{"name": ""}',
    "characters": b'{"name": "a\\u001b"}',
    "names is a list": b'{"name": "a", "names": "b"}',
    "at most 64": json.dumps({"name": "a", "names": ["b"] * 65}).encode(),
    "host names and addresses": b'{"name": "a", "names": ["a b"]}',
    "required is a list": b'{"name": "a", "required": [1]}',
    "is no certificate request": b'{"name": "a", "request": "x"}',
    "in PEM form": b'{"name": "a", "request": 1}',
    "32 bytes long": b'{"name": "a", "public_key": "AAAA"}',
    "not base64": b'{"name": "a", "public_key": "A"}',
    "sealed for": json.dumps({"name": "a", "public_key": "A" * 43 + "="}).encode(),
    "key_ids is a list": json.dumps(
        {"name": "a", "public_key": "A" * 42 + "E=", "key_ids": [""] * 9}
    ).encode(),
}


@pytest.mark.parametrize("said", BAD_BODIES)
def test_what_no_machine_of_ours_sends_is_refused_and_leaves_the_token_good(said: str, site: Site) -> None:
    token, *_ = join_tokens.read_join_token(site.token(Role.CONTROL))
    status, text = post(site, "/machine/v1/join", token, BAD_BODIES[said])
    assert (status, said in text) == (400, True), text
    assert {each.uses for each in list_join_tokens(site.installation) if each.id in token} == {0}


def test_more_than_a_machine_has_to_say_is_not_read(site: Site) -> None:
    assert post(site, "/machine/v1/join", "x", bytes(LARGEST_REQUEST + 1))[0] == 413


@pytest.mark.parametrize("path", ["join", "renew"])
@pytest.mark.parametrize(
    "token", ["", "hwj_jt-0123456789abcdef0_" + "A" * 43, "hwm_m-0123456789abcdef0_" + "A" * 43]
)
def test_a_stranger_learns_nothing(path: str, token: str, site: Site) -> None:
    status, text = post(site, f"/machine/v1/{path}", token, b"{")
    assert status == 401
    assert "hatchway join-token create" in text


def test_a_machine_gets_no_certificates_without_end(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    monkeypatch.setattr(renewal, "PAUSE", timedelta(seconds=2))
    got = DataDirectory(tmp_path / "gw")
    got.server_certificate.unlink()
    with pytest.raises(Refused, match="has just been given a certificate"):
        renew(got, result.machine, site.now)
    site.now += timedelta(seconds=3)
    assert renew(got, result.machine, site.now) == ["server.pem"]


def test_a_machine_that_says_something_new_each_time_keeps_nobody_from_writing(
    site: Site, tmp_path: Path
) -> None:
    machine = site.join(tmp_path / "gw", Role.GATEWAY).machine

    def said(what: str) -> int:
        return post(site, "/machine/v1/renew", machine.token, json.dumps({"key_ids": [what]}).encode())[0]

    statuses = [said(f"gateway:{number}") for number in range(60)]
    assert set(statuses[:10]) == {200}
    assert set(statuses) == {200, 429}
    # Another machine is not made to wait for it.
    other = site.join(tmp_path / "gw2", Role.GATEWAY).machine
    assert post(site, "/machine/v1/renew", other.token, b'{"key_ids": []}')[0] == 200
    remove_machine(site.installation, other.machine_id)
    remove_machine(site.installation, machine.machine_id)


def test_a_machine_does_not_fill_the_trail_with_keys_that_it_was_given(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = site.join(tmp_path / "gw", Role.GATEWAY)
    monkeypatch.setattr(renewal, "PAUSE", timedelta(seconds=2))
    before = len(site.events("HandOutKeys"))
    asked = [json.dumps({"key_ids": ids}).encode() for ids in ([], ["gateway:a"], [])]
    answers = [post(site, "/machine/v1/renew", result.machine.token, body) for body in asked]
    assert [status for status, _ in answers] == [200] * 3
    assert [json.loads(text)["keys"] is not None for _, text in answers] == [True, False, False]
    assert len(site.events("HandOutKeys")) == before + 1
    site.now += timedelta(seconds=3)
    assert json.loads(post(site, "/machine/v1/renew", result.machine.token, asked[0])[1])["keys"] is not None
    # A clock that is put back holds nothing up.
    site.now -= timedelta(hours=1)
    assert json.loads(post(site, "/machine/v1/renew", result.machine.token, asked[0])[1])["keys"] is not None
    remove_machine(site.installation, result.machine.machine_id)
