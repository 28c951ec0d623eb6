"""The keys by which hosts are known, as they reported them to the control plane, for ssh to trust no others.

What is written is known_hosts of one host alone (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), so that it holds
under whatever name ssh knows the host.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hatchway.client.api.profile import api_errors
from hatchway.client.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST_KEYS: Final = "DescribeHostKeys"
_MOST_ASKED: Final = 100
_UNTOLD: Final = frozenset({"AccessDeniedException", "UnknownOperationException"})
"""Of somebody who may not know, and of a server that does not: then hosts are as unknown as to ssh itself."""

_KEY: Final = re.compile(r"[a-z0-9@.-]{1,64} [0-9A-Za-z+/]{16,16384}={0,2}")

_HEADING: Final = (
    "# What this host reported to Hatchway. It is written anew at each connection: do not change it.\n"
)

MISMATCH_SCRIPT: Final = """\
# Run by ssh with why it asks, the key that the host shows, that key's fingerprint, the file of the keys that
# the host has reported, and the instance's id. Says what to do where the key is none of them.
[ "$1" = HOSTNAME ] || exit 0
reported=no
while read -r host _ key; do
    if [ "$key" = "$2" ]; then exit 0; fi
    if [ "$host" = '*' ]; then reported=yes; fi
done 2>/dev/null <"$4"
if [ "$reported" = yes ]; then
    advice='either this is another host, or its keys are new'
    advice="$advice; then run /etc/hatchway-host/report-host-keys there as root"
    printf 'hatchway: %s shows the host key %s, which its host did not report: %s\\n' "$5" "$3" "$advice" >&2
fi
"""


def reported_keys(client: Any, instance_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]] | None:
    """Public keys, `type base64`, by instance id, of those that have reported some. None where the caller
    cannot be told.

    Args:
        client: botocore's of the service `hatchway`, or an `ApiClient`.

    Raises:
        ApiError: the call failed.
    """
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(instance_ids), _MOST_ASKED):
        asked = list(instance_ids[start : start + _MOST_ASKED])
        try:
            with api_errors(HOST_KEYS):
                found |= _read(client.describe_host_keys(InstanceIds=asked), asked)
        except ApiError as refused:
            if refused.code in _UNTOLD:
                return None
            raise
    return found


def _read(answer: Mapping[str, Any], asked: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """
    Raises:
        KeyError, TypeError: it is no answer.
    """
    found = {}
    for host in answer["HostKeys"]:
        keys = tuple(key for key in host["PublicKeys"] if _KEY.fullmatch(key))
        # Of others nobody has asked, and what is no id would be written into ssh's configuration.
        if keys and host["InstanceId"] in asked:
            found[host["InstanceId"]] = keys
    return found


def known_hosts(keys: Sequence[str]) -> str:
    """A known_hosts file of a host with these keys."""
    return _HEADING + "".join(f"* {key}\n" for key in keys)


def keep_known_hosts(path: Path, keys: Sequence[str]) -> None:
    """Has a file hold these keys and no others. Where there are none, what ssh itself has put there stays.

    Raises:
        OSError: it cannot be written.
    """
    if keys:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Under a name that nobody foresees: the directory may be one in which others put links.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(known_hosts(keys))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return
    with suppress(FileNotFoundError):
        if path.read_text("ascii", errors="replace").startswith(_HEADING):
            path.unlink()


def pin_options(directory: Path, instance_id: str, keys: Sequence[str], *, tells: bool) -> list[str]:
    """Options by which ssh takes the host for itself only by these keys. Files for them are made in the
    directory.

    Args:
        tells: whether ssh can be made to say what to do when it refuses (KnownHostsCommand).
    """
    file = directory / "known_hosts"
    file.write_text(known_hosts(keys), "ascii")
    options = [
        f"UserKnownHostsFile={quoted(str(file))}",
        # Neither the system's known hosts nor the DNS may vouch for another key.
        f"GlobalKnownHostsFile={quoted(str(file))}",
        "VerifyHostKeyDNS=no",
        "StrictHostKeyChecking=yes",
        # It would write the host's further keys into the file.
        "UpdateHostKeys=no",
    ]
    if tells:
        script = directory / "mismatch"
        script.write_text(MISMATCH_SCRIPT)
        options.append(f"KnownHostsCommand={mismatch_command(script, quoted(str(file)), instance_id)}")
    return [word for option in options for word in ("-o", option)]


def mismatch_command(script: Path, known_hosts_file: str, instance_id: str) -> str:
    """The value of KnownHostsCommand that runs `MISMATCH_SCRIPT`; the last two are as ssh_config has them."""
    return f"/bin/sh {quoted(str(script))} %I %K %f {known_hosts_file} {instance_id}"


def quoted(path: str) -> str:
    """A path as an argument in a line of ssh_config."""
    return '"' + path.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'


def openssh_version(program: str) -> tuple[int, int] | None:
    """Of an `ssh`; None where it does not say."""
    return read_version(subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr)


def read_version(told: str) -> tuple[int, int] | None:
    """What `ssh -V` says."""
    version = re.match(r"OpenSSH\w*_(\d+)\.(\d+)", told)
    return None if version is None else (int(version[1]), int(version[2]))


def knows_known_hosts_command(version: tuple[int, int] | None) -> bool:
    """Whether an ssh has KnownHostsCommand, as OpenSSH has since 8.5, and there is a /bin/sh to run."""
    return os.name == "posix" and version is not None and version >= (8, 5)
