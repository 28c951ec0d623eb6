"""OpenSSH through a tunnel: a key made for this call, pushed to the instance, and `ssh` with a ProxyCommand.

ssh itself has the tunnel begin, by its ProxyCommand: see `standby`, or, where that cannot be, as `hatchway
open-tunnel` with every question already answered, so that the command in it calls no API.
"""

from __future__ import annotations

import shlex
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.discovery.cache import AnswerCache
from hatchway.client.discovery.discovery import TunnelOptions, check_os_user, plan_tunnel, push_key
from hatchway.client.discovery.hosts import NoSuchHost, find_host
from hatchway.client.errors import ApiError, InvalidOption, printable
from hatchway.client.ssh.host_keys import (
    HOST_KEYS,
    keep_known_hosts,
    knows_known_hosts_command,
    pin_options,
    quoted,
    reported_keys,
)
from hatchway.client.ssh.openssh import (
    find_program,
    give_standard_streams,
    key_in_making,
    run_in_foreground,
    version_being_asked,
)
from hatchway.client.ssh.proxy_command import jump_command, tunnel_command
from hatchway.client.ssh.ssh_line import parse_ssh_line, values_of
from hatchway.client.ssh.standby import standing_by
from hatchway.client.temporary_directory import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.hosts import Host
    from hatchway.client.discovery.plan import TunnelPlan
    from hatchway.client.ssh.ssh_line import SshLine
    from hatchway.client.ssh.ssh_settings import Configured
    from hatchway.client.ssh.standby import Ended

DEFAULT_OS_USER: Final = "ec2-user"

_NOT_CONNECTED: Final = 255
"""ssh's own exit status where it is not the remote command's."""

_KEY_PLACEHOLDER: Final = "KEY"
_LONGEST_KEY: Final = 16_384
"""Bytes of a public key's file."""


class SshOptions(NamedTuple):
    """`host` is as `TunnelOptions.host` has it, `tunnel.remote_port` sshd's port, `options` the user's own of
    ssh, `command` the remote one, `jump` the hosts on the way to it as in ssh's `-J`.

    Where ssh is not to connect (it shows its configuration, or speaks to a master process of the user's),
    no key is made. Where it is asked of itself, `host` is empty.
    """

    host: str
    os_user: str = DEFAULT_OS_USER
    tunnel: TunnelOptions = TunnelOptions()
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    connects: bool = True
    jump: str | None = None


class SshRoute(NamedTuple):
    """How ssh gets to a host, which it knows as `destination`: the instance's id, for a private address may
    be that of other hosts elsewhere.

    `instance_id` is None for a host that only its jump host knows: it is to have the user's own keys.
    `steps` say what was found.
    """

    destination: str
    instance_id: str | None
    proxy_command: str
    steps: tuple[str, ...] = ()
    forget: Callable[[], None] = lambda: None
    """Has the route looked for anew the next time."""
    remembered: bool = False
    plan: TunnelPlan | None = None
    """Of the tunnel; None where another `hatchway ssh` has it."""


def ssh_options(
    words: Sequence[str],
    os_user: str | None,
    remote_port: int | None,
    tunnel: TunnelOptions,
    configured: Callable[[SshLine], Configured] | None = None,
) -> SshOptions:
    """What a command line means: ssh's own words, and user and port as options of ours.

    Args:
        configured: tells user and port where the line does not: see `ssh_settings`.

    Raises:
        InvalidOption: the words are not ssh's, or say something else than our options.
    """
    line = parse_ssh_line(words)
    if os_user is not None and line.user not in (None, os_user):
        raise InvalidOption(f"--os-user says {os_user!r} and ssh's words {line.user!r}: name one user")
    if remote_port is not None and line.port not in (None, remote_port):
        raise InvalidOption(f"--remote-port says {remote_port} and ssh's words {line.port}: give one port")
    user, port = os_user or line.user, remote_port or line.port
    if configured is not None and line.destination and (user is None or port is None):
        told = configured(line._replace(user=user, port=port))
        user, port = user or told.user, port or told.port
    return SshOptions(
        host=line.destination,
        os_user=user or DEFAULT_OS_USER,
        tunnel=tunnel._replace(remote_port=port or tunnel.remote_port),
        options=line.options,
        command=line.command,
        connects=line.connects,
        jump=line.jump,
    )


def ssh_command(
    route: SshRoute, options: SshOptions, key_file: str | None, pins: Sequence[str] = ()
) -> list[str]:
    """The arguments of `ssh`, the program's name first; `pins` are those of `pin_options`.

    Of each setting ssh takes the first value: what the user says goes before what we only prefer. On the
    host's own keys we insist: with StrictHostKeyChecking=no, as Ansible has it, ssh would take any other.

    Host keys are remembered by instance id, as masters of connections are. Of the user's own keys none is
    offered to an instance unless named: each would be one more question to the control plane and one try
    less.
    """
    preferred: tuple[str, ...] = ()
    if route.instance_id is not None:
        preferred = ("-o", "IdentitiesOnly=yes", "-o", f"HostKeyAlias={route.instance_id}")
    return [
        "ssh",
        *("-o", f"ProxyCommand={route.proxy_command}"),
        # It hands no connection over, as a user's own configuration may say of every such command.
        *("-o", "ProxyUseFdpass=no"),
        *("-p", str(options.tunnel.remote_port)),
        *(_identity(key_file) if key_file is not None else ()),
        *pins,
        *options.options,
        *("-o", "ServerAliveInterval=5"),
        *preferred,
        "--",
        f"{options.os_user}@{route.destination}",
        *options.command,
    ]


def _identity(key_file: str) -> tuple[str, str]:
    """`-i` looks for the file by this very name, and then reads the one by its name with tokens replaced
    (ssh_config(5), TOKENS): one with a percent sign it would never have."""
    return ("-o", f"IdentityFile={quoted(key_file)}") if "%" in key_file else ("-i", key_file)


def _place() -> str | None:
    """Where directories for ssh's files are made; None for where all others are. In names of files ssh puts
    the environment's words in the place of `${WORD}`, and nothing keeps it from that."""
    return "/tmp" if "${" in tempfile.gettempdir() else None  # noqa: S108 - a directory of our own in it


def run_ssh(profile: Profile, options: SshOptions, ended: Ended) -> int:
    """Push a key, run ssh, and return its exit status (128 and the signal's number when one ended it).

    Args:
        ended: as `standing_by` has it.

    Raises:
        ClientError: the route there could not be found, or the key was refused.
        SshMissing: there is no ssh to run.
    """
    give_standard_streams()
    program = find_program("ssh")
    if not options.host:
        return run_in_foreground([program, *options.options])
    if not options.connects:
        return run_in_foreground([program, *ssh_command(find_route(profile, options), options, None)[1:]])
    with (
        temporary_directory(_place(), tidies=True) as directory,
        # Both are there by the time that all has been asked.
        key_in_making(directory / "key") as public_key,
        version_being_asked(program) as version,
    ):

        def connect(route: SshRoute) -> int:
            if route.instance_id is None:
                return run_in_foreground([program, *ssh_command(route, options, None)[1:]])
            with _tunnel(profile, route, directory, ended) as proxy_command:
                keys = introduce(profile, route.instance_id, options.os_user, public_key())
                pins: Sequence[str] = ()
                if keys and not values_of(options.options, "o", "userknownhostsfile"):
                    tells = knows_known_hosts_command(version())
                    pins = pin_options(directory, route.instance_id, keys, tells=tells)
                by = route._replace(proxy_command=proxy_command)
                # All of it lives until ssh has authenticated: with -f, too, ssh goes into the background only
                # then.
                status = run_in_foreground(
                    [program, *ssh_command(by, options, str(directory / "key"), pins)[1:]]
                )
            if status == _NOT_CONNECTED:
                route.forget()
            return status

        route = find_route(profile, options)
        try:
            return connect(route)
        except ApiError as problem:
            # Where there was no answer there is none to another question.
            if not problem.code:
                raise
            route.forget()
            if not route.remembered:
                raise
            return connect(find_route(profile, options))


@contextmanager
def _tunnel(profile: Profile, route: SshRoute, directory: Path, ended: Ended) -> Iterator[str]:
    """Within it the ProxyCommand of a route can be run."""
    if route.plan is None:
        yield route.proxy_command
        return
    with standing_by(route.plan, profile.trusted, directory, ended, profile.retry_budget) as handing_over:
        yield route.proxy_command if handing_over is None else handing_over


def prepare_host(
    profile: Profile, instance_id: str | None, os_user: str, key_file: Path | None, known_hosts: Path | None
) -> None:
    """What ssh's own configuration has done before a tunnel's first byte: a public key pushed, and the host's
    keys written to a file, where it has reported any.

    Raises:
        InvalidOption: there is no instance, or the file holds no public key.
        ClientError: a call was refused or not answered.
        OSError: the keys cannot be written.
    """
    if key_file is None and known_hosts is None:
        return
    if instance_id is None:
        raise InvalidOption("--push-key and --known-hosts are about an instance: name a host")
    keys: Sequence[str] | None
    if key_file is None:
        told = reported_keys(profile.api_client, [instance_id])
        keys = None if told is None else told.get(instance_id, ())
    else:
        check_os_user(os_user)
        keys = introduce(profile, instance_id, os_user, _read_public_key(key_file))
    if known_hosts is not None and keys is not None:
        keep_known_hosts(known_hosts, keys)


def _read_public_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_KEY).decode("ascii").strip()
    except OSError as error:
        raise InvalidOption(f"--push-key {printable(str(path))} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        text = ""
    if not text or "PRIVATE KEY" in text or len(text.splitlines()) != 1:
        raise InvalidOption(
            f"--push-key {printable(str(path))} is no public key: give the file that ends in .pub"
        )
    return text


def introduce(profile: Profile, instance_id: str, os_user: str, public_key: str) -> Sequence[str] | None:
    """Make a key good on an instance, and ask at the same time for the keys by which its host is known: there
    are none where it has reported none, and it is None where the caller cannot be told.

    Raises:
        ApiError, NotConfigured: a call was refused or not answered.
    """
    client = profile.api_client
    client.prefetch((HOST_KEYS, {"InstanceIds": [instance_id]}), service="hatchway")
    push_key(profile, instance_id, os_user, public_key)
    found = reported_keys(client, [instance_id])
    return None if found is None else found.get(instance_id, ())


class DryRun(NamedTuple):
    """`steps`: what was found, and what a real run would do then. `command`: the ssh command in the end."""

    steps: tuple[str, ...]
    command: str


def dry_run_ssh(profile: Profile, options: SshOptions) -> DryRun:
    """Find the route as `run_ssh` does, and push no key, open no tunnel.

    Raises:
        ClientError: the route could not be found.
    """
    if not options.host:
        return DryRun((), shlex.join(["ssh", *options.options]))
    route = find_route(profile, options)
    steps = [f"credentials: {profile.credentials().access_key_id}, region {profile.region}", *route.steps]
    key = None
    if options.connects and route.instance_id is not None:
        key = _KEY_PLACEHOLDER
        call = "would call ec2-instance-connect:SendSSHPublicKey"
        steps.insert(len(steps) - 1, f"{call} on {route.instance_id} for {options.os_user}")
    return DryRun(tuple(steps), shlex.join(ssh_command(route, options, key)))


def find_route(profile: Profile, options: SshOptions) -> SshRoute:
    """How ssh gets to the host: by a tunnel, or by way of the hosts that `jump` names.

    Raises:
        ClientError: the route could not be found.
    """
    check_os_user(options.os_user)
    if options.tunnel.private_ip_address is not None:
        raise InvalidOption("ssh finds the address of an instance itself")
    return _tunnelled(profile, options) if options.jump is None else _behind(profile, options, options.jump)


def _tunnelled(profile: Profile, options: SshOptions) -> SshRoute:
    asked = options.tunnel._replace(host=options.host)
    cache = AnswerCache(profile, asked)
    plan = plan_tunnel(profile, asked, cache=cache)
    request, instance_id = plan.request, plan.instance_id
    assert instance_id is not None
    duration = "" if request.max_tunnel_duration is None else f" for {request.max_tunnel_duration} seconds"
    steps = (
        f"instance: {instance_id} at {request.private_ip_address}",
        f"endpoint: {request.endpoint_id}, gateway {plan.route}",
        f"would call ec2-instance-connect:OpenTunnel on {request.endpoint_id} to"
        f" {request.private_ip_address} port {request.remote_port}{duration}",
    )
    command = tunnel_command(plan, profile.options)
    return SshRoute(instance_id, instance_id, command, steps, cache.forget, cache.recalled, plan)


def _behind(profile: Profile, options: SshOptions, jump: str) -> SshRoute:
    """The tunnel leads to the first of the hosts on the way; from the last one ssh connects itself."""
    host: Host | None
    try:
        host = find_host(profile.api_client, options.host)
    except NoSuchHost:
        # The jump host may know it: as ssh has it, its name is resolved there.
        host = None
    port = options.tunnel.remote_port
    target = options.host if host is None else host.addresses[0]
    found = printable(target, 300) if host is None else f"{host.instance_id} at {target}"
    every_hop = [word for file in values_of(options.options, "F") for word in ("-F", file)]
    proxy = jump_command(jump, f"[{target}]:{port}", options.tunnel, profile.options, every_hop)
    steps = (
        f"{'host' if host is None else 'instance'}: {found}",
        f"would run hatchway ssh to {printable(jump, 300)}, and connect from there to {target} port {port}",
    )
    if host is None:
        return SshRoute(options.host, None, proxy, steps)
    return SshRoute(host.instance_id, host.instance_id, proxy, steps)
