"""What readers of the documents have before them: a server, hosts, and a machine of their own.

The server's machine is hatchway.example, with what the example fleet file says and two users more: admin,
who may do everything, and alice. `#` is root's shell there, in a directory with the repository's `examples`
and `deploy`; `$` is the shell of alice's machine, which is the same with another home. `web-1#` is root's
shell on the host web-1, and `db-1#` on db-1, which is there only once somebody types there.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final

import boto3
import yaml
from tests.documents.pages import REPOSITORY, Block, Command, is_as_shown, without_varying
from tests.e2e.machines import ENVIRONMENT, Machine
from tests.e2e.network import Network
from tests.e2e.openssh import start_sshd
from tests.e2e.processes import kill_group

DNS_NAME: Final = "hatchway.example"
DATA: Final = "/var/lib/hatchway"
HOME: Final = "/home/alice"
ROOT: Final = "/root/hatchway"
ADDRESSES: Final = {"web-1": "10.0.1.1", "db-1": "10.0.2.20"}
"""Where the example fleet has its hosts."""

_GOES_ON: Final = re.compile(
    r"(?:--local-port[ =]|-L |\bhatchway forward \S+ )(\d+)"
    r"|\bhatchway (serve|control|gateway) |\bhatchway events .*--follow"
)
"""Commands that end only when told to: listeners, each with its port, servers, what follows the trail."""

_SAYS_SO: Final = re.compile(r"hatchway (?:open-tunnel|forward) ")
"""Listeners that say at once that they listen. The AWS CLI says it to a terminal; to a file when it ends."""

_SECONDS: Final = 120

_HOMES: Final = f"""\
set -e
find {HOME} {ROOT} -mindepth 1 -delete
mkdir -p {HOME}/.aws {HOME}/.ssh {HOME}/bin
for there in {HOME} {ROOT}; do ln -s {REPOSITORY}/examples {REPOSITORY}/deploy $there; done
cp /root/profiles/config /root/profiles/credentials {HOME}/.aws/
cp /root/profiles/id_ed25519* {HOME}/.ssh/
# To a terminal curl shows no progress of what it prints there.
printf 'silent\nshow-error\n' >{HOME}/.curlrc
rm -rf /root/.aws /root/.ssh && ln -s {HOME}/.aws {HOME}/.ssh /root/
"""


_AGAIN: Final = """\
#!/bin/sh
# Has sshd begin anew, and waits until it shows the key that is there now.
key=$(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub)
until [ -s /run/sshd.pid ]; do sleep 0.05; done
kill -HUP $(cat /run/sshd.pid)
until ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -qF "$key"; do sleep 0.05; done
"""


def _typed(command: str) -> str:
    """What a shell is given for a command without input. One that goes on is ended when it has begun."""
    if not (goes_on := _GOES_ON.search(command)):
        return f"{{ {command}\n}} </dev/null"
    if goes_on[1]:
        begun = f"grep -qi ':{int(goes_on[1]):04x} 0*:0000 0A ' /proc/net/tcp /proc/net/tcp6"
        if _SAYS_SO.match(command):
            begun += " && [ -s /run/going-on ]"
    elif goes_on[2]:
        begun = "grep -q '^ready ' /run/going-on"
    else:
        begun = "[ -s /run/going-on ]"
    # As by Ctrl-C, which what is started in the background would not heed.
    ended = "kill -INT $! 2>/dev/null; wait $! 2>/dev/null"
    told = "cat /run/going-on"
    told_and_ended = f"{ended}; {told}" if command.startswith("aws ") else f"{told}; {ended}"
    run = f"env --default-signal=INT bash -c {shlex.quote(f'exec {command}')}"
    return (
        # What the command before it said there must not be taken for this one's, which begins when it likes.
        ": >/run/going-on\n"
        f"{run} </dev/null >/run/going-on 2>&1 &\n"
        f"until {begun}; do kill -0 $! 2>/dev/null && sleep 0.05 || break; done; {begun}; begun=$?\n"
        f"{told_and_ended}; (exit $begun)"
    )


class Shell:
    """A shell on a machine into which somebody types one command after the other."""

    def __init__(self, machine: Machine, directory: str, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            machine.command(["bash", "--norc"]), env={**ENVIRONMENT, **variables}, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.run(f"cd {directory}") == (0, "")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def run(self, command: str) -> tuple[int, str]:
        """Its exit code, and what it prints to standard output and error. A listener or server is ended."""
        assert self._process.stdin is not None
        typed = _typed(command)
        self._process.stdin.write(f"{typed}\nended=$?; echo; echo END $ended\n")
        printed = ""
        while True:
            try:
                line = self._lines.get(timeout=_SECONDS)
            except Empty:
                raise AssertionError(f"{command}\ndoes not end. It printed:\n{printed}") from None
            if ended := re.fullmatch(r"END (\d+)\n", line):
                return int(ended[1]), printed.removesuffix("\n")
            printed += line

    def close(self) -> None:
        """Ends it, with all that it has in the background."""
        kill_group(self._process)
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass
class World:
    """The server with its account, and shells for the page that is read."""

    network: Network
    directory: Path
    aws: Path
    fleet: dict[str, Any]
    hatchway: Any
    iam: Any
    keys: set[str]
    hosts: dict[str, Machine] = field(default_factory=dict)
    shells: dict[str, Shell] = field(default_factory=dict)

    def host(self, name: str) -> Machine:
        """A host of the fleet, which is set up when it is asked for."""
        if name not in self.hosts:
            self.hosts[name] = bare_host(self.network, name)
            set_up(self.hosts[name], self.network, self.directory)
        return self.hosts[name]

    def shell(self, prompt: str) -> Shell:
        if prompt not in self.shells:
            path = f"{self.aws.parent}:{HOME}/bin:{ENVIRONMENT['PATH']}"
            variables = {
                "PATH": path, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
            }  # fmt: skip
            server = self.network.gateway
            self.shells[prompt] = {
                "#": lambda: Shell(server, ROOT, {**variables, "HATCHWAY_DATA_DIR": DATA}),
                "$": lambda: Shell(server, HOME, {**variables, "HOME": HOME, "AWS_PROFILE": "admin"}),
            }.get(prompt, lambda: Shell(self.host(prompt.removesuffix("#")), "/root", {}))()
        return self.shells[prompt]

    def begin(self) -> None:
        """Has everything be as a new page's reader finds it."""
        self.end()
        assert self.network.gateway.run(["sh", "-c", _HOMES]).stderr == ""
        with self.network.gateway.joined():
            self.hatchway.apply_fleet(FleetFile=yaml.safe_dump(self.fleet, sort_keys=False), Prune=True)
            for user in self.fleet["users"]:
                for key in self.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
                    if key["AccessKeyId"] not in self.keys:
                        self.iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])

    def end(self) -> None:
        """Closes the shells."""
        while self.shells:
            self.shells.popitem()[1].close()

    def run(self, block: Block) -> None:
        """Runs a block as it stands, and compares."""
        try:
            for command in block.first:
                self._succeeds(block, command)
            self._compare(block)
        finally:
            for command in block.afterwards:
                self._succeeds(block, command)

    def _compare(self, block: Block) -> None:
        texts = {}
        for text, command in block.replaced:
            texts[text] = self._succeeds(block, command).strip()
            assert texts[text], f"{block.here}: nothing is printed by {command.text}"
        for command in block.commands:
            typed = command.text
            for text, instead in texts.items():
                typed = typed.replace(text, instead)
            code, printed = self.shell(command.prompt).run(typed)
            for text, instead in texts.items():
                printed = printed.replace(instead, text)
            # Where ssh goes by the entry in passwd: alice's machine is root's too.
            printed = printed.replace("/root/.ssh/", f"{HOME}/.ssh/")
            if command.shown:
                assert is_as_shown(command.shown, printed), (
                    f"{block.here}: {typed}\nprints (exit code {code}):\n{printed}\n"
                    f"and not:\n{command.shown}\n"
                    f"compared are:\n{without_varying(printed)}\n{without_varying(command.shown)}"
                )
            else:
                assert code == 0, f"{block.here}: {typed}\nexit code {code}:\n{printed}"

    def _succeeds(self, block: Block, command: Command) -> str:
        code, printed = self.shell(command.prompt).run(command.text)
        assert code == 0, f"for {block.here}: {command.text}\nexit code {code}:\n{printed}"
        return printed


def bare_host(network: Network, name: str) -> Machine:
    """A host of the fleet as yet without anything."""
    network.gateway.add_name(ADDRESSES[name], name)
    host = network.machine(name, ADDRESSES[name])
    host.add_name(network.GATEWAY, DNS_NAME)
    return host


def set_up(host: Machine, network: Network, directory: Path) -> None:
    """Gives a host users ec2-user and bob, and sshd as its script has it. Root lets alice's key in."""
    server = network.gateway
    # Whom this computer has besides is nobody there.
    host.run(["sed", "-i", r"/^root:/! { /sh$/ d }", "/etc/passwd"], check=True)
    sshd = start_sshd(host, directory / f"sshd-{host.name}.log", ("ec2-user", "bob"))
    key = server.read("/root/profiles/id_ed25519.pub")
    sshd.authorize("root", key)
    host.write("/root/alice.pub", key)
    host.write("/root/again", _AGAIN, mode=0o755)
    script = server.run(["hatchway", "host", "script", host.name, "--data-dir", DATA], check=True).stdout
    host.write(f"/root/{host.name}.sh", script)
    host.run(["sh", f"/root/{host.name}.sh"], check=True)


def base_fleet() -> dict[str, Any]:
    """The example's, with an administrator, the documents inside."""
    fleet: dict[str, Any] = yaml.safe_load((REPOSITORY / "examples/office.yaml").read_text())
    fleet["policies"] = {
        name: json.loads((REPOSITORY / "examples" / path).read_text())
        for name, path in fleet["policies"].items()
    }
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    fleet["users"]["admin"] = {"inline": {"everything": everything}}
    return fleet


@contextmanager
def world(network: Network, aws_program: Path, directory: Path) -> Iterator[World]:
    """One for all pages."""
    server = network.gateway
    server.add_name(network.GATEWAY, DNS_NAME)
    # With its wire the server has the addresses that it begins with.
    web_1 = bare_host(network, "web-1")
    server.run(
        ["sh", "-c", f"rm -rf {DATA} /root/.aws /root/.ssh {ROOT}; mkdir -p {ROOT} {HOME} /root/profiles"]
    )
    server.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', mode=0o755)
    server.keep_few_cas()
    # In the place of the answer "yes" when ssh asks whether it is the right host.
    server.write("/etc/ssh/ssh_config.d/yes.conf", "StrictHostKeyChecking accept-new\n")
    server.run(["ip", "addr", "add", f"{network.GATEWAY}/32", "dev", "lo"], check=True)
    server.write("/usr/local/bin/python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n', mode=0o755)
    # The server's interpreter, from which commands are forked, need not be in the PATH.
    commands = server.start(
        [
            sys.executable,
            "-m",
            "tests.documents.command_server",
            "/run/hatchway-commands",
            "/usr/local/bin/hatchway",
        ],
        directory / "commands.log",
        env={"PYTHONPATH": str(REPOSITORY)},
    )
    commands.wait_for("ready")
    made = json.loads(
        server.run(["hatchway", "init", "--data-dir", DATA, "--gateway-dns-name", DNS_NAME,
                    "--account", "123456789012", "--json"], check=True).stdout
    )  # fmt: skip
    ca = server.read(made["ca_certificate"])
    server.trust(ca)
    (directory / "ca.pem").write_text(ca)
    fleet = base_fleet()
    (directory / "base.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))
    serving = server.start(
        [sys.executable, "-m", "hatchway", "serve", "--data-dir", DATA, "--api", "0.0.0.0:8443", "--gateway",
         "0.0.0.0:443"], directory / "serve.log",
    )  # fmt: skip
    serving.wait_for("ready ")
    script = f"""\
set -e
hatchway apply {directory}/base.yaml
for user in admin alice; do hatchway access-key create $user --profile $user; done
cp /root/.aws/* /root/profiles/
ssh-keygen -q -t ed25519 -N '' -C alice@laptop -f /root/profiles/id_ed25519
"""
    server.run(["sh", "-c", script], env={"HATCHWAY_DATA_DIR": DATA}, check=True)
    set_up(web_1, network, directory)
    profile = dict(
        re.findall(r"(\w+) = (\S+)", server.read("/root/profiles/credentials").partition("[alice]")[0])
    )
    session = boto3.Session(
        profile["aws_access_key_id"], profile["aws_secret_access_key"], region_name="us-east-1"
    )
    session._session.get_component("data_loader").search_paths.append(
        os.fspath(REPOSITORY / "src/hatchway/protocol/models")
    )
    clients = {
        name: session.client(
            name, endpoint_url=f"https://{network.GATEWAY}:8443", verify=os.fspath(directory / "ca.pem")
        )
        for name in ("iam", "hatchway")
    }
    with server.joined():
        keys = {
            key["AccessKeyId"]
            for user in fleet["users"]
            for key in clients["iam"].list_access_keys(UserName=user)["AccessKeyMetadata"]
        }
    made_world = World(network, directory, aws_program, fleet, clients["hatchway"], clients["iam"], keys)
    made_world.hosts["web-1"] = web_1
    try:
        yield made_world
    finally:
        made_world.end()
