"""SSH without OpenSSH: a server in place of a host's sshd, and a client, both of asyncssh.

    python -m hatchway.demo.python_ssh CONFIGURATION.json

The server asks Hatchway for keys with the same request as the AuthorizedKeysCommand of a real host.
"""

import asyncio
import json
import os
import ssl
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncssh

_ANSWER_SECONDS: Final = 4.0
_LARGEST_ANSWER: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSshServer:
    """The server of one host. `os_user` is the one user that it has."""

    name: str
    address: str
    port: int
    token: str = field(repr=False)
    os_user: str
    api_url: str
    ca_certificate: str
    host_key: str

    def keys_for(self, os_user: str, fingerprint: str) -> str:
        """What Hatchway answers: lines of authorized_keys."""
        query = urllib.parse.urlencode({"user": os_user, "fingerprint": fingerprint})
        request = urllib.request.Request(  # noqa: S310 - the URL is the demo's own
            f"{self.api_url}/host/v1/authorized-keys?{query}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca_certificate)),
        )
        with opener.open(request, timeout=_ANSWER_SECONDS) as answer:
            body: bytes = answer.read(_LARGEST_ANSWER)
        return body.decode("ascii", "replace")


async def serve(ssh_server: PythonSshServer) -> None:
    """Lets people in for whose key Hatchway vouches, and runs their command, until cancelled."""

    class Server(asyncssh.SSHServer):
        async def begin_auth(self, username: str) -> bool:
            return True

        def public_key_auth_supported(self) -> bool:
            return True

        async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            if username != ssh_server.os_user:
                return False
            try:
                lines = await asyncio.to_thread(ssh_server.keys_for, username, key.get_fingerprint())
            except OSError as problem:
                print(f"asking {ssh_server.api_url} for keys failed: {problem}", file=sys.stderr)
                return False
            offered = key.export_public_key().decode("ascii").split()[:2]
            return any(line.split()[:2] == offered for line in lines.splitlines())

    async def run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        shell = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", process.command or "exec /bin/sh"),
            env={**os.environ, "HATCHWAY_DEMO_HOST": ssh_server.name},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await shell.communicate()
        process.stdout.write(output)
        process.stderr.write(errors)
        process.exit(shell.returncode or 0)

    server = await asyncssh.listen(
        ssh_server.address,
        ssh_server.port,
        server_factory=Server,
        server_host_keys=[ssh_server.host_key],
        process_factory=run,
        encoding=None,
    )
    await server.wait_closed()


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key pair made for one call, as `ssh-keygen` writes it."""

    private: str = field(repr=False)
    public: str

    @classmethod
    def make(cls) -> "ClientKey":
        key = asyncssh.generate_private_key("ssh-ed25519")
        return cls(key.export_private_key().decode("ascii"), key.export_public_key().decode("ascii").strip())


def run_command(port: int, *, os_user: str, key: ClientKey, host_key: str, command: str) -> str:
    """Runs a command by way of a tunnel that listens on a local port; what it printed.

    Raises:
        OSError, asyncssh.Error: there is no connection, or the key was not taken.
    """

    async def run() -> str:
        async with asyncssh.connect(
            "127.0.0.1",
            port,
            username=os_user,
            client_keys=[asyncssh.import_private_key(key.private)],
            known_hosts=([asyncssh.import_public_key(host_key)], [], []),
            config=None,
            agent_path=None,
        ) as connection:
            done = await connection.run(command, check=True)
        return str(done.stdout)

    return asyncio.run(run())


def main() -> None:
    configuration = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    asyncio.run(serve(PythonSshServer(**configuration)))


if __name__ == "__main__":
    main()
