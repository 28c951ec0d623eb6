"""OpenSSH through a tunnel: a key made for this call, pushed to the instance, and `ssh` with a ProxyCommand.

ssh itself runs the tunnel, as `hatchway open-tunnel` with every question already answered, so that the
command in it calls no API.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatchway.client.discovery import TunnelOptions, check_os_user, plan_tunnel, push_key
from hatchway.client.errors import ClientError, InvalidOption
from hatchway.client.ssh_line import parse_ssh_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from hatchway.client.profile import Profile, ProfileOptions
    from hatchway.client.tunnel import TunnelPlan

DEFAULT_OS_USER: Final = "ec2-user"

_KEY_PLACEHOLDER: Final = "KEY"


class SshMissing(ClientError):
    """There is no OpenSSH client on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions:
    """`host` is as `TunnelOptions.host` has it, `tunnel.remote_port` sshd's port, `options` the user's own of
    ssh, `command` the remote one.

    Where ssh is not to connect (it shows its configuration, or speaks to a master process of the user's),
    no key is made.
    """

    host: str
    os_user: str = DEFAULT_OS_USER
    tunnel: TunnelOptions = field(default_factory=TunnelOptions)
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    connects: bool = True


def ssh_options(
    words: Sequence[str], os_user: str | None, remote_port: int | None, tunnel: TunnelOptions
) -> SshOptions:
    """What a command line means: ssh's own words, and user and port as options of ours.

    Raises:
        InvalidOption: the words are not ssh's, or say something else than our options.
    """
    line = parse_ssh_line(words)
    if os_user is not None and line.user not in (None, os_user):
        raise InvalidOption(f"--os-user says {os_user!r} and ssh's words {line.user!r}: name one user")
    if remote_port is not None and line.port not in (None, remote_port):
        raise InvalidOption(f"--remote-port says {remote_port} and ssh's words {line.port}: give one port")
    port = remote_port or line.port or tunnel.remote_port
    return SshOptions(
        host=line.destination,
        os_user=os_user or line.user or DEFAULT_OS_USER,
        tunnel=replace(tunnel, remote_port=port),
        options=line.options,
        command=line.command,
        connects=line.connects,
    )


def ssh_command(
    plan: TunnelPlan, options: SshOptions, profile: ProfileOptions, key_file: str | None
) -> list[str]:
    """The arguments of `ssh`, the program's name first.

    Of each setting ssh takes the first value: what the user says goes before what we only prefer.

    Host keys are remembered by instance id, since private addresses are not unique. Of the user's own keys
    none is offered unless named: each would be one more question to the control plane and one try less.
    """
    return [
        "ssh",
        *("-o", f"ProxyCommand={proxy_command(plan, profile)}"),
        *("-p", str(plan.request.remote_port)),
        *(("-i", key_file) if key_file is not None else ()),
        *options.options,
        *("-o", "ServerAliveInterval=5"),
        *("-o", "IdentitiesOnly=yes"),
        *("-o", f"HostKeyAlias={plan.instance_id}"),
        "--",
        f"{options.os_user}@{plan.request.private_ip_address}",
        *options.command,
    ]


def proxy_command(plan: TunnelPlan, profile: ProfileOptions) -> str:
    """The value of ssh's ProxyCommand: a line for the user's shell, in which ssh replaces `%` sequences."""
    request, route = plan.request, plan.route
    options = {
        "--profile": profile.profile,
        "--region": profile.region,
        "--endpoint-url": profile.endpoint_url,
        "--ca-bundle": profile.ca_bundle,
        "--private-ip-address": request.private_ip_address,
        "--remote-port": request.remote_port,
        "--instance-connect-endpoint-id": request.endpoint_id,
        "--instance-connect-endpoint-dns-name": request.dns_name,
        "--max-tunnel-duration": request.max_tunnel_duration,
        "--gateway-port": route.port,
        "--gateway-address": route.address,
        "--source-address": route.source_address,
    }
    # -P: a file in the current directory must not pass for a module of ours.
    words = [sys.executable, "-P", "-m", "hatchway", "open-tunnel"]
    for name, value in options.items():
        if value is not None:
            words += [name, str(value)]
    return shlex.join(words).replace("%", "%%")


def run_ssh(profile: Profile, options: SshOptions) -> int:
    """Push a key, run ssh, and return its exit status (128 and the signal's number when one ended it).

    Raises:
        ClientError: the way there could not be found, or the key was refused.
        SshMissing: there is no ssh to run.
    """
    plan, instance_id = _plan(profile, options)
    program = shutil.which("ssh")
    if program is None:
        raise SshMissing("there is no ssh on this machine: install the OpenSSH client")
    if not options.connects:
        return _run([program, *ssh_command(plan, options, profile.options, None)[1:]])
    with tempfile.TemporaryDirectory(prefix="hatchway-") as directory:
        private_key, public_key = _make_key()
        key_file = Path(directory) / "key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(private_key)
        push_key(profile, instance_id, options.os_user, public_key)
        return _run([program, *ssh_command(plan, options, profile.options, str(key_file))[1:]])


@dataclass(frozen=True, slots=True)
class DryRun:
    """`steps`: what was found, and what a real run would do then. `command`: the ssh command in the end."""

    steps: tuple[str, ...]
    command: str


def dry_run_ssh(profile: Profile, options: SshOptions) -> DryRun:
    """Find the way as `run_ssh` does, and push no key, open no tunnel.

    Raises:
        ClientError: the way could not be found.
    """
    plan, instance_id = _plan(profile, options)
    request = plan.request
    duration = "" if request.max_tunnel_duration is None else f" for {request.max_tunnel_duration} seconds"
    steps = (
        f"credentials: {profile.credentials().access_key_id}, region {plan.region}",
        f"instance: {instance_id} at {request.private_ip_address}",
        f"endpoint: {request.endpoint_id}, gateway {plan.route}",
        f"would call ec2-instance-connect:SendSSHPublicKey on {instance_id} for {options.os_user}",
        f"would call ec2-instance-connect:OpenTunnel on {request.endpoint_id} to"
        f" {request.private_ip_address} port {request.remote_port}{duration}",
    )
    key = _KEY_PLACEHOLDER if options.connects else None
    command = shlex.join(ssh_command(plan, options, profile.options, key))
    return DryRun(steps, command)


def _plan(profile: Profile, options: SshOptions) -> tuple[TunnelPlan, str]:
    """The way to the host, and its instance's id."""
    check_os_user(options.os_user)
    if options.tunnel.private_ip_address is not None:
        raise InvalidOption("ssh finds the address of an instance itself")
    plan = plan_tunnel(profile, replace(options.tunnel, host=options.host))
    assert plan.instance_id is not None
    return plan, plan.instance_id


def _make_key() -> tuple[bytes, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii"),
    )


def _run(command: Sequence[str]) -> int:
    """Run ssh in the foreground. Signals are for it to obey; we outlive it to remove the key."""
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if process is not None:
            process.send_signal(number)

    # The terminal sends SIGINT to ssh as well. A handler, unlike SIG_IGN, is not inherited.
    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        process = subprocess.Popen(command)
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status
