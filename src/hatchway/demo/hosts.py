"""A host's SSH server on a loopback address: sshd run by the current user, or `python_ssh`.

Either asks Hatchway for keys at `/host/v1/authorized-keys`, with a host token, as sshd on a real host does.
"""

import json
import os
import pwd
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hatchway.client.discovery.os_user import is_os_user
from hatchway.errors import CommandFailed
from hatchway.host.script import HostLayout, authorized_keys_command
from hatchway.supervision.processes import Processes

_SYSTEM_PATH: Final = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/bin"
_SSH_PORTS: Final = (22, 2222)
_START_SECONDS: Final = 20.0
_PRIVILEGE_SEPARATION: Final = Path("/run/sshd")
_PYTHON_SSH_USER: Final = "ec2-user"


@dataclass(frozen=True, slots=True)
class Programs:
    """OpenSSH's programs on this machine; None for what is missing, or cannot be used here."""

    ssh: str | None
    sshd: str | None

    @classmethod
    def find(cls) -> "Programs":
        """sshd must let the current user in and be able to ask for keys, with curl."""
        path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
        sshd, curl = shutil.which("sshd", path=path), shutil.which("curl", path=_SYSTEM_PATH)
        usable = sshd is not None and curl is not None and _can_log_in()
        return cls(shutil.which("ssh"), sshd if usable else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """One host to be: `token` proves to Hatchway which instance it is."""

    name: str
    instance_id: str
    address: str
    port: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """What all hosts share."""

    directory: Path
    os_user: str
    api_url: str
    ca_certificate: Path


def os_user_for(programs: Programs) -> str:
    """The OS user to log in as: an sshd that is not root's can let in nobody but who runs it."""
    return _PYTHON_SSH_USER if programs.sshd is None else pwd.getpwuid(os.getuid()).pw_name


def ssh_port(addresses: list[str]) -> int:
    """A port that is free at all the addresses: 22 when this process may have it.

    Raises:
        CommandFailed: the addresses cannot be used.
    """
    for port in _SSH_PORTS:
        if all(_is_free(address, port) for address in addresses):
            return port
    try:
        with socket.create_server((addresses[0], 0)) as found:
            port = found.getsockname()[1]
    except OSError as problem:
        raise CommandFailed(f"cannot listen on {addresses[0]}: {problem.strerror}") from problem
    assert isinstance(port, int)
    return port


@contextmanager
def privilege_separation(programs: Programs) -> Iterator[None]:
    """The directory that an sshd of root's wants, which Debian makes only when the service starts."""
    if programs.sshd is None or os.geteuid() != 0 or _PRIVILEGE_SEPARATION.exists():
        yield
        return
    _PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        _PRIVILEGE_SEPARATION.rmdir()


def start_host(plan: HostPlan, shared: SharedSettings, programs: Programs, processes: Processes) -> str:
    """Starts the host's SSH server; its public host key, as known_hosts has it.

    Raises:
        CommandFailed: it does not listen.
    """
    directory = shared.directory / plan.name
    directory.mkdir(mode=0o700)
    host_key = _make_host_key(directory / "host-key")
    start = _start_python_ssh if programs.sshd is None else _start_sshd
    start(plan, shared, programs, processes, directory)
    _wait_until_it_listens(plan, directory / "log")
    return host_key


def _start_sshd(
    plan: HostPlan, shared: SharedSettings, programs: Programs, processes: Processes, directory: Path
) -> None:
    layout = HostLayout(directory=str(directory), state=str(directory))
    _write(directory / "authorized-keys", authorized_keys_command(shared.api_url, layout))
    _write(
        directory / "curl.conf",
        f'header = "Authorization: Bearer {plan.token}"\ncacert = "{shared.ca_certificate}"\n',
    )
    configuration = {
        "ListenAddress": f"{plan.address}:{plan.port}",
        "HostKey": directory / "host-key",
        "PidFile": "none",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "AuthorizedKeysFile": "none",
        # sshd runs only a program that is root's; the shell is, our script need not be.
        "AuthorizedKeysCommand": f"/bin/sh {directory / 'authorized-keys'} %u %f",
        "AuthorizedKeysCommandUser": shared.os_user,
        "AllowUsers": shared.os_user,
        "PermitRootLogin": "prohibit-password",
        "SetEnv": f"HATCHWAY_DEMO_HOST={plan.name}",
    }
    lines = (f"{keyword} {value}\n" for keyword, value in configuration.items())
    _write(directory / "sshd_config", "".join(lines))
    assert programs.sshd is not None
    processes.start([programs.sshd, "-D", "-e", "-f", str(directory / "sshd_config")], log=directory / "log")


def _start_python_ssh(
    plan: HostPlan, shared: SharedSettings, _programs: Programs, processes: Processes, directory: Path
) -> None:
    configuration = {
        "name": plan.name,
        "address": plan.address,
        "port": plan.port,
        "token": plan.token,
        "os_user": shared.os_user,
        "api_url": shared.api_url,
        "ca_certificate": str(shared.ca_certificate),
        "host_key": str(directory / "host-key"),
    }
    _write(directory / "server.json", json.dumps(configuration))
    processes.start(
        [sys.executable, "-P", "-m", "hatchway.demo.python_ssh", str(directory / "server.json")],
        log=directory / "log",
    )


def _wait_until_it_listens(plan: HostPlan, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            with socket.create_connection((plan.address, plan.port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    errors = log.read_text(errors="replace").strip().splitlines()
    raise CommandFailed(f"{plan.name}'s SSH server does not start: {errors[-1] if errors else 'no word'}")


def _make_host_key(path: Path) -> str:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    _write(path, private.decode("ascii"))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode("ascii")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _is_free(address: str, port: int) -> bool:
    try:
        with socket.create_server((address, port)):
            return True
    except OSError:
        return False


def _can_log_in() -> bool:
    """Whether sshd would give the current user a shell: it has a name, a password entry and a shell."""
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    shell = Path(user.pw_shell or "/bin/sh")
    if not is_os_user(user.pw_name) or shell.name in ("nologin", "false", "sync"):
        return False
    return os.access(shell, os.X_OK) and not _is_locked(user.pw_name)


def _is_locked(name: str) -> bool:
    """shadow(5): a password that begins with `!` is locked. Only root can tell; only its sshd cares."""
    try:
        lines = Path("/etc/shadow").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    entries: Mapping[str, str] = {
        fields[0]: fields[1] for line in lines if len(fields := line.split(":")) > 1
    }
    return entries.get(name, "").startswith("!")
