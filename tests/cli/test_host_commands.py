"""The hosts that a caller sees, and the host that is meant by a name, against a control plane."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from structlog.testing import capture_logs
from tests.cli.in_process import Ran, run
from tests.control.conftest import empty_database, session, shared_server  # noqa: F401
from tests.control.harness import (
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_SUBNET,
    SUBNET,
    VPC,
    Credentials,
    SharedServer,
    World,
    new_world,
)

from hatchway.administration.account import _find_instance
from hatchway.client.api.ids import whole_id
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.discovery.discovery import find_endpoint_by_id
from hatchway.client.discovery.hosts import find_host, identify_host
from hatchway.client.errors import ApiError, InvalidOption, NotFound
from hatchway.domain.network import Instance, InstanceState
from hatchway.errors import CommandFailed

SEES_HOSTS = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
SEES_ALL = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}

WEB, DATABASE, TWIN, OTHER_TWIN, OLD_WEB, ODD = (f"i-0123456789abcde{number}" for number in "123456")


def instance(instance_id: str, address: str, name: str, **fields: Any) -> Instance:
    made = {"vpc_id": VPC, "subnet_id": SUBNET, "ipv6": None, "security_group_ids": (DEFAULT_GROUP,)}
    tags = {"Name": name, **fields.pop("tags", {})}
    return Instance(id=instance_id, name=instance_id, private_ip=address, tags=tags, **{**made, **fields})


@pytest.fixture(scope="module")
def filled(
    shared_server: SharedServer,  # noqa: F811
    empty_database: Path,  # noqa: F811
    session: boto3.Session,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """Hosts and an endpoint. What the server logs is kept from standard output, which is the command's."""
    directory = tmp_path_factory.mktemp("hosts")
    with capture_logs(), new_world(shared_server, empty_database, directory, session) as world:
        hosts = (
            instance(WEB, "10.0.1.101", "web-1", tags={"env": "prod"}),
            instance(DATABASE, "10.0.1.102", "db-2", tags={"env": "test"}, state=InstanceState.STOPPED),
            instance(TWIN, "10.0.1.103", "twin", ipv6="fd00:1::7"),
            instance(OTHER_TWIN, "10.0.2.104", "twin", subnet_id=OTHER_SUBNET),
            instance(OLD_WEB, "10.0.1.105", "web-1", state=InstanceState.TERMINATED),
            instance(ODD, "10.0.1.106", "*;$(id)"),
        )
        with world.store.write() as tx:
            tx.instances.delete(INSTANCE)
            for host in hosts:
                tx.instances.put(host)
        world.client("ec2").create_instance_connect_endpoint(SubnetId=SUBNET)
        yield world


@pytest.fixture(scope="module")
def users(filled: World) -> Mapping[str, Credentials]:
    return {
        "alice": filled.user("alice", SEES_ALL),
        "bob": filled.user("bob", SEES_HOSTS),
        "carol": filled.user("carol"),
    }


Become = Callable[[str], None]


@pytest.fixture
def become(filled: World, users: Mapping[str, Credentials], monkeypatch: pytest.MonkeyPatch) -> Become:
    """Has a user's credentials in the environment, and nothing else of AWS and Hatchway."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HATCHWAY_"))]:
        monkeypatch.delenv(name)

    def become(user: str) -> None:
        for variable, value in {
            "AWS_ACCESS_KEY_ID": users[user].access_key_id,
            "AWS_SECRET_ACCESS_KEY": users[user].secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": filled.shared_server.url,
            "AWS_CA_BUNDLE": str(filled.shared_server.ca),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(variable, value)

    return become


@pytest.fixture
def lab(filled: World, become: Become) -> World:
    """The hosts, and alice, who sees all."""
    become("alice")
    return filled


def endpoint_id(world: World) -> str:
    with world.store.read() as tx:
        return str(tx.endpoints.find()[0].id)


def ids(done: Ran) -> list[str]:
    return [host["instance_id"] for host in json.loads(done.output)["hosts"]]


def test_hosts_are_listed_with_all_that_tells_one_from_another(lab: World) -> None:
    done = run("hosts", "web-1")
    assert (done.code, done.errors) == (0, "")
    heading, web, old = (line.split() for line in done.output.splitlines())
    assert heading == ["NAME", "ID", "ADDRESS", "STATE", "ENDPOINT", "TAGS"]
    assert old == ["web-1", OLD_WEB, "10.0.1.105", "terminated", "-", "-"]
    assert web == ["web-1", WEB, "10.0.1.101", "running", endpoint_id(lab), "env=prod"]


def test_hosts_are_told_to_programs(lab: World) -> None:
    (web,) = json.loads(run("hosts", "--tag", "env=prod", "--output", "json").output)["hosts"]
    assert web == {
        "instance_id": WEB,
        "name": "web-1",
        "state": "running",
        "addresses": ["10.0.1.101"],
        "vpc_id": VPC,
        "subnet_id": SUBNET,
        "tags": {"Name": "web-1", "env": "prod"},
        "endpoint_id": endpoint_id(lab),
    }
    assert run("hosts", "--tag", "env=prod", "--json").output == (
        run("hosts", "--tag", "env=prod", "--output", "json").output
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["twin"], [TWIN, OTHER_TWIN]),
        (["?b-2"], [DATABASE]),
        (["--tag", "env=*"], [DATABASE, WEB]),
        (["--tag", "env=*", "--filter", "instance-state-name=running,pending"], [WEB]),
        (["--filter", f"subnet-id={OTHER_SUBNET}", "t*"], [OTHER_TWIN]),
        (["nobody"], []),
    ],
)
def test_filters_leave_what_matches_them_all(lab: World, arguments: list[str], found: list[str]) -> None:
    assert ids(run("hosts", "--json", *arguments)) == found


def test_who_may_see_hosts_and_no_endpoints_is_told_of_hosts_and_why_no_more(
    lab: World, become: Become
) -> None:
    become("bob")
    done = run("hosts", "twin")
    assert (done.code, done.output.count("twin")) == (0, 2)
    assert "endpoints cannot be told: DescribeInstanceConnectEndpoints: UnauthorizedOperation" in done.errors
    assert "(request id " in done.errors


def test_who_may_see_no_hosts_is_told_so(become: Become) -> None:
    become("carol")
    done = run("hosts")
    assert (done.code, done.output) == (1, "")
    assert "DescribeInstances: UnauthorizedOperation" in done.errors


@pytest.mark.parametrize("arguments", [["--tag", "env"], ["--filter", "=x"], ["--output", "yaml"]])
def test_a_filter_that_is_none_is_refused(lab: World, arguments: list[str]) -> None:
    assert run("hosts", *arguments).code == 2


@pytest.fixture(scope="module")
def ec2(filled: World, users: Mapping[str, Credentials]) -> Any:
    return filled.client("ec2", users["alice"])


@pytest.mark.parametrize(
    ("named", "instance_id", "address"),
    [
        # What is terminated is not meant while something of that name runs.
        ("web-1", WEB, "10.0.1.101"),
        ("10.0.2.104", OTHER_TWIN, "10.0.2.104"),
        (OTHER_TWIN, OTHER_TWIN, "10.0.2.104"),
        # No wildcard: a name is what it is.
        ("*;$(id)", ODD, "10.0.1.106"),
        # Reached at the address that was named, not at the first that it has.
        ("fd00:1::7", TWIN, "fd00:1::7"),
        ("FD00:1:0::7", TWIN, "fd00:1::7"),
    ],
)
def test_a_host_is_found_by_what_it_is_called(ec2: Any, named: str, instance_id: str, address: str) -> None:
    host = find_host(ec2, named)
    assert (host.instance_id, host.addresses[0]) == (instance_id, address)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "twin",
            f"'twin' may be any of 2 hosts, {TWIN} at 10.0.1.103 and fd00:1::7 in {VPC}, {OTHER_TWIN} at",
        ),
        ("i-0", f"'i-0' may be any of 4 hosts, {WEB} at 10.0.1.101"),
        ("i-1", "there is no instance i-1 that you may see, nor one whose id begins so"),
        ("db-2", f"db-2 ({DATABASE}) is stopped: it must be running"),
        ("10.0.1.102", f"db-2 ({DATABASE}) is stopped"),
        ("web", "there is no host 'web' that you may see: 'hatchway hosts' lists them, each by its tag Name"),
        ("web*", "there is no host 'web*' that you may see"),
        ("10.0.1.99", "no host that you may see has the address 10.0.1.99"),
        ("fd00::99", "no host that you may see has the address fd00::99"),
    ],
)
def test_a_name_that_leads_nowhere_or_to_several_is_told_with_what_to_do(
    ec2: Any, named: str, said: str
) -> None:
    with pytest.raises(NotFound) as caught:
        find_host(ec2, named)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_on_the_server_the_beginning_of_an_id_is_enough_too(filled: World) -> None:
    with filled.store.read() as tx:
        assert _find_instance(tx, WEB).id == WEB
        with pytest.raises(CommandFailed, match=f"any of several instances, {WEB}, {DATABASE}, .*give more"):
            _find_instance(tx, WEB[:-1])
        for nothing in ("i-1", "%", "i-_"):
            with pytest.raises(CommandFailed, match="there is no instance"):
                _find_instance(tx, nothing)
    with filled.store.write() as tx:
        tx.instances.put(instance("i-0fffffffffffffff0", "10.0.1.107", "odd-one-out"))
    with filled.store.write() as tx:
        assert _find_instance(tx, "i-0f").id == "i-0fffffffffffffff0"
        tx.instances.delete("i-0fffffffffffffff0")


@pytest.mark.parametrize("named", [DATABASE, "db-2", "10.0.1.102"])
def test_what_is_to_be_changed_is_found_though_it_does_not_run(ec2: Any, named: str) -> None:
    assert identify_host(ec2, named) == DATABASE


def test_who_may_not_look_hosts_up_names_one_by_its_id(become: Become) -> None:
    become("carol")
    ec2 = Profile(ProfileOptions()).api("ec2")
    assert identify_host(ec2, WEB) == WEB
    with pytest.raises(ApiError, match="UnauthorizedOperation"):
        identify_host(ec2, "web-1")


@pytest.mark.parametrize("named", ["web-1", "i-01"])
def test_what_is_to_be_changed_is_not_chosen_for_that_it_runs(ec2: Any, named: str) -> None:
    with pytest.raises(NotFound, match="may be any of"):
        identify_host(ec2, named)


@pytest.mark.parametrize("whole", [SUBNET, DEFAULT_GROUP])
def test_the_beginning_of_several_ids_is_told_with_them(ec2: Any, whole: str) -> None:
    with pytest.raises(NotFound, match=f"may be any of [0-9], {whole}, "):
        whole_id(ec2, whole[:-3])


def test_an_endpoint_is_found_by_the_beginning_of_its_id(lab: World) -> None:
    whole = endpoint_id(lab)
    assert find_endpoint_by_id(lab.client("ec2"), whole[:9]).endpoint_id == whole
    assert whole_id(lab.client("ec2"), whole[:9]) == whole
    with pytest.raises(NotFound, match="begins with 'eice-zz'"):
        find_endpoint_by_id(lab.client("ec2"), "eice-zz")


@pytest.mark.parametrize("named", ["", "\x1b[2J", "x" * 256])
def test_what_can_be_no_host_is_refused_before_anybody_is_asked(named: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        find_host(None, named)
    assert str(caught.value).isprintable()


def test_ssh_takes_a_name_and_asks_for_the_key_by_id(lab: World) -> None:
    done = run("ssh", "--dry-run", "--gateway-port", "443", "admin@web-1", "uptime")
    assert (done.code, done.errors) == (0, "")
    assert f"instance: {WEB} at 10.0.1.101" in done.output
    assert f"SendSSHPublicKey on {WEB} for admin" in done.output
    assert f"HostKeyAlias={WEB} -- admin@{WEB} uptime" in done.output


def test_open_tunnel_takes_a_name_and_no_two(lab: World) -> None:
    done = run("open-tunnel", "admin@twin")
    assert (done.code, done.output) == (255, "")
    assert "'twin' may be any of 2 hosts" in done.errors
    assert run("open-tunnel", "web-1", "--instance-id", WEB).code == 2
    assert run("open-tunnel", "web-1", "--private-ip-address", "10.0.1.1").code == 2


def completed(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What bash is told that may stand for the last of these words."""
    monkeypatch.setenv("COMP_WORDS", "\n".join(("hatchway", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    monkeypatch.setenv("_HATCHWAY_COMPLETE", "complete_bash")
    return sorted(run().output.split())


def test_names_of_running_hosts_are_completed_where_one_may_stand(
    lab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed(monkeypatch, "ssh", "web") == ["web-1"]
    assert completed(monkeypatch, "ssh", "-v", "--os-user", "x", "web") == ["web-1"]
    assert completed(monkeypatch, "open-tunnel", "web") == ["web-1"]
    # A name of several is ambiguous, and a name that means something to a shell is never given to one.
    assert {TWIN, OTHER_TWIN, ODD, "web-1"} <= set(completed(monkeypatch, "ssh", "")) - {"twin", "*;$(id)"}
    assert completed(monkeypatch, "ssh", "web-1", "") == []
    assert completed(monkeypatch, "ssh", "--os") == ["--os-user"]


def test_who_may_see_nothing_completes_nothing_and_sees_no_error(
    become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("carol")
    assert completed(monkeypatch, "ssh", "web") == []
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    assert completed(monkeypatch, "ssh", "web") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_calls_back(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_HATCHWAY_COMPLETE", f"source_{shell}")
    assert f"_HATCHWAY_COMPLETE=complete_{shell}" in run().output


def test_a_prompt_does_not_wait_for_an_api_that_does_not_answer(
    become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("alice")
    monkeypatch.setattr("hatchway.cli.host_commands._PROMPT_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{silent.getsockname()[1]}")
        assert completed(monkeypatch, "ssh", "web") == []
        silent.setblocking(False)
        # Once: it is not tried again and again.
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
