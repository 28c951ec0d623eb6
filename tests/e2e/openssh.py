"""OpenSSH's real sshd on a machine, with Debian's own configuration and accounts that only it has."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.machines import Machine
from tests.e2e.processes import Process
from tests.e2e.waiting import wait_until

STOCK_CONFIGURATION = "/usr/share/openssh/sshd_config"
"""Where Debian's openssh-server keeps the configuration that a new host starts with."""

# Another host's keys, accounts and drop-ins are not this one's.
_FRESH_HOST = f"""
set -eu
rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d /root/.ssh /etc/motd /etc/update-motd.d
mkdir -p /etc/ssh/sshd_config.d /run/sshd
cp {STOCK_CONFIGURATION} /etc/ssh/sshd_config
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
for user in "$@"; do
    useradd --create-home --shell /bin/sh "$user"
done
"""

# The file is away while an earlier signal is still being followed.
_HANG_UP = "until [ -s /run/sshd.pid ]; do sleep 0.1; done; kill -HUP $(cat /run/sshd.pid)"


@dataclass(frozen=True)
class Sshd:
    """A running sshd: `process` has its log (at level VERBOSE), `host_key` is `ssh-ed25519 AAAA…`."""

    machine: Machine
    process: Process
    host_key: str

    def known_hosts_line(self, *names: str) -> str:
        """The line of a known_hosts file by which a client trusts this host under `names` (addresses too)."""
        return f"{','.join(names)} {self.host_key}\n"

    def reload(self) -> None:
        """Make it read its configuration anew (SIGHUP), and wait until it listens again."""
        listening = self._times_listening()
        self.machine.run(["sh", "-c", _HANG_UP], check=True)
        wait_until(lambda: self._times_listening() > listening, 30, self.process.output)

    def authorize(self, user: str, public_key: str) -> None:
        """Put a key into the user's own authorized_keys file, for good."""
        script = (
            'set -e; home=$(getent passwd "$1" | cut -d: -f6); mkdir -p -m 700 "$home/.ssh"; '
            'cat >>"$home/.ssh/authorized_keys"; chmod 600 "$home/.ssh/authorized_keys"; '
            'chown -R "$1:" "$home/.ssh"'
        )
        self.machine.run(["sh", "-c", script, "sh", user], input=f"{public_key.strip()}\n", check=True)

    def _times_listening(self) -> int:
        return self.process.output().count("Server listening on 0.0.0.0")


def start_sshd(machine: Machine, log: Path, users: Sequence[str] = ("ec2-user",), port: int = 22) -> Sshd:
    """Make `users` on the machine (root is there anyway) and start sshd, listening on all its addresses.

    It answers when this returns. It ends with the machine.
    """
    machine.run(["sh", "-c", _FRESH_HOST, "sh", *users], check=True)
    program = machine.run(["sh", "-c", "command -v sshd"], check=True).stdout.strip()
    process = machine.start([program, "-D", "-e", "-o", "LogLevel=VERBOSE", "-p", str(port)], log)
    process.wait_for("Server listening on 0.0.0.0")
    algorithm, key = machine.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    return Sshd(machine, process, f"{algorithm} {key}")


def make_key(path: Path, comment: str = "test") -> str:
    """Make an ed25519 key pair at `path` and `path`.pub, no passphrase; return the public key's line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        timeout=60,
    )
    return path.with_suffix(f"{path.suffix}.pub").read_text().strip()
