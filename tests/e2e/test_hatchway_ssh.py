"""`hatchway ssh` in the place of ssh: by itself, and for the programs that are made to run ssh."""

import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.aws import AwsCli
from tests.e2e.hatchway_server import (
    API_URL,
    DESCRIBE,
    DNS_NAME,
    OPEN_TUNNEL,
    WEB_1,
    Hatchway,
    allow,
)
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, make_key
from tests.e2e.waiting import wait_until
from tests.trail_files import events_in

CONFIGURATION = "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\nBatchMode yes\n"


@pytest.fixture(scope="module")
def enrolled_host(hatchway: Hatchway, web_host: Sshd) -> Sshd:
    script = hatchway.command("host", "script", WEB_1, "--api-url", API_URL)
    web_host.machine.add_name(Network.GATEWAY, DNS_NAME)
    web_host.machine.run(["useradd", "--create-home", "--shell", "/bin/sh", "bob"], check=True)
    web_host.machine.run(["sh", "-s"], input=script, check=True)
    web_host.reload()
    return web_host


@pytest.fixture(scope="module")
def sheila(hatchway: Hatchway, enrolled_host: Sshd) -> AwsCli:
    """Somebody who may be any OS user, with `hatchway` and a wrapper in the way that `scp -S` needs one."""
    hatchway.machine.write("/etc/ssh/ssh_config.d/test.conf", CONFIGURATION)
    command = f"#!/bin/sh\nexec {sys.executable} -m hatchway"
    hatchway.machine.write("/usr/local/bin/hatchway", f'{command} "$@"\n', mode=0o755)
    hatchway.machine.write("/usr/local/bin/hatchway-ssh", f'{command} ssh "$@"\n', mode=0o755)
    sheila = hatchway.user("sheila", DESCRIBE, allow("ec2-instance-connect:SendSSHPublicKey"), OPEN_TUNNEL)
    enrolled_host.authorize("root", make_key(sheila.home / "own-key"))
    (sheila.home / "config").write_text(f"Host web-1\n    User bob\n{CONFIGURATION}")
    return sheila


class Shell:
    """Runs a line as sheila would type it."""

    def __init__(self, user: AwsCli) -> None:
        self.machine = user.machine
        self.environment = user.full_environment

    def __call__(self, line: str, input: str | None = None) -> tuple[int, str, str]:
        done = self.machine.run(["sh", "-c", line], env=self.environment, input=input, timeout=120)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def shell(sheila: AwsCli) -> Iterator[Shell]:
    yield Shell(sheila)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        (f"hatchway ssh {WEB_1} id -un", "ec2-user\n"),
        ("hatchway ssh bob@web-1 id -un", "bob\n"),
        ("hatchway ssh -l bob 10.0.1.1 id -un", "bob\n"),
        (f"hatchway ssh {WEB_1} -l bob id -un", "bob\n"),
        (f"hatchway ssh --os-user root {WEB_1} id -un", "root\n"),
        (f"hatchway ssh -o User=bob -p 22 {WEB_1} -- id -un", "bob\n"),
        (f"hatchway ssh {WEB_1} echo --help --os-user -l x", "--help --os-user -l x\n"),
        (f"hatchway ssh {WEB_1} 'echo a; echo b' '&& echo c'", "a\nb\nc\n"),
        (f"echo in | hatchway ssh -T {WEB_1} cat", "in\n"),
        (f"hatchway ssh {WEB_1} 'echo in the end >&2' 2>&1 <&- >&-", "in the end\n"),
        # By way of a host: to one that Hatchway knows, and to one that only that host knows.
        (f"hatchway ssh -o ProxyJump=bob@web-1:22,{WEB_1} -l bob web-1 id -un", "bob\n"),
        ("hatchway ssh -J bob@web-1 -i ~/own-key root@localhost id -un", "root\n"),
        # What ssh's own configuration says of the host as it is typed, and of no other.
        ("hatchway ssh -F ~/config web-1 id -un", "bob\n"),
        ("hatchway ssh -F ~/config ec2-user@web-1 id -un", "ec2-user\n"),
        (f"hatchway ssh -F ~/config {WEB_1} id -un", "ec2-user\n"),
        ("mkdir ~/'a 100%h' && TMPDIR=~/'a 100%h' hatchway ssh web-1 id -un", "ec2-user\n"),
        # As VS Code does.
        (f"echo 'id -un; exit' | hatchway ssh -T -D 51080 -o ConnectTimeout=60 bob@{WEB_1} bash", "bob\n"),
    ],
)
def test_words_mean_what_they_mean_to_ssh(shell: Shell, line: str, printed: str) -> None:
    assert shell(line) == (0, printed, "")


def test_one_connection_serves_calls_that_follow(shell: Shell, hatchway: Hatchway) -> None:
    # Ansible's command line.
    line = (
        "hatchway ssh -C -o ControlMaster=auto -o ControlPersist=60s -o KbdInteractiveAuthentication=no"
        " -o PreferredAuthentications=gssapi-with-mic,gssapi-keyex,hostbased,publickey"
        " -o PasswordAuthentication=no -o 'User=\"bob\"' -o ConnectTimeout=60 -o 'ControlPath=\"~/c-%C\"'"
    )
    opened = len(openings(hatchway))
    command = "/bin/sh -c 'echo ~bob && sleep 0'"
    assert shell(f'{line} {WEB_1} "{command}"') == (0, "/home/bob\n", "")
    assert shell(f'{line} -tt web-1 "{command}"')[:2] == (0, "/home/bob\n")
    assert shell(f"{line} -O exit 10.0.1.1")[0] == 0
    assert len(openings(hatchway)) == opened + 1


def test_ssh_goes_into_the_background_once_it_has_authenticated(shell: Shell) -> None:
    line = (
        "mkdir ~/keys && export TMPDIR=~/keys;"
        f" hatchway ssh -f -N -S ~/background -M -L 2201:localhost:22 -D 51081 {WEB_1} && ls ~/keys;"
        " bash -c 'read -r line <>/dev/tcp/127.0.0.1/2201; echo $line';"
        f" hatchway ssh -S ~/background -O exit {WEB_1}"
    )
    # No key is left behind.
    assert shell(line)[1].startswith("SSH-2.0-OpenSSH")


def test_the_status_of_the_remote_command_is_handed_on(shell: Shell) -> None:
    assert shell(f"hatchway ssh {WEB_1} exit 7")[0] == 7


def test_a_port_is_forwarded_while_no_command_runs(shell: Shell) -> None:
    line = (
        f"hatchway ssh -N -L 2200:localhost:22 {WEB_1} & "
        "for _ in $(seq 100); do"
        " banner=$(bash -c 'read -r line <>/dev/tcp/127.0.0.1/2200; echo $line' 2>/dev/null);"
        " case $banner in SSH*) break ;; esac; sleep 0.2; done; "
        "kill $!; wait $!; echo $banner"
    )
    assert shell(line)[1].startswith("SSH-2.0-OpenSSH")


def test_asking_ssh_for_its_configuration_pushes_no_key(shell: Shell, hatchway: Hatchway) -> None:
    status, printed, _ = shell(f"hatchway ssh -G zoe@{WEB_1}")
    assert status == 0
    assert {"user zoe", f"hostname {WEB_1}"} <= set(printed.splitlines())
    # In the store at once, in the exported trail a little later.
    with sqlite3.connect(hatchway.directory / "data" / "hatchway.db") as store:
        query = "SELECT body FROM audit_records WHERE event_name = 'SendSSHPublicKey'"
        pushed = [body for (body,) in store.execute(query)]
    assert not [body for body in pushed if "zoe" in body]


def test_a_tunnel_that_ssh_hangs_up_is_closed_by_the_client_and_not_lost(
    shell: Shell, hatchway: Hatchway
) -> None:
    others = set(openings(hatchway))  # of which some may end only now
    assert shell(f"hatchway ssh {WEB_1} true")[0] == 0
    said = shell(
        f"hatchway ssh {WEB_1} 'echo in; sleep 1000' >~/there & ssh=$!;"
        " for try in $(seq 600); do if [ -s ~/there ]; then break; fi; sleep 0.1; done;"
        " kill -HUP $ssh; wait $ssh"
    )
    ours = set(openings(hatchway)) - others
    assert len(ours) == 2, said
    codes = wait_until(
        lambda: (ended := [code for tunnel, code in closures(hatchway) if tunnel in ours])[1:] and ended,
        60,
        lambda: f"of {ours} ended {[tunnel for tunnel, _ in closures(hatchway) if tunnel in ours]}",
    )
    assert codes == [1000, 1000]


def closures(hatchway: Hatchway) -> list[tuple[str, int]]:
    """Each tunnel that ended, and its close code: in the exported trail, a little later."""
    ended = events_in(hatchway.directory / "data" / "audit.jsonl", "CloseTunnel")
    told = [event["additionalEventData"] for event in ended]
    return [(each["tunnelId"], each["closeCode"]) for each in told]


def openings(hatchway: Hatchway) -> list[str]:
    """The id of each tunnel that was opened: in the store at once."""
    with sqlite3.connect(hatchway.directory / "data" / "hatchway.db") as store:
        opened = store.execute("SELECT body FROM audit_records WHERE event_name = 'OpenTunnel'")
        return [
            event["additionalEventData"]["tunnelId"]
            for event in (json.loads(body) for (body,) in opened)
            if event.get("errorCode") is None
        ]


def _tree(directory: Path) -> str:
    content = os.urandom(300_000)
    (directory / "a b").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "line",
    [
        f"scp -S hatchway-ssh '{{}}' bob@{WEB_1}:copy",
        f"scp -O -S hatchway-ssh '{{}}' bob@{WEB_1}:copy",
        f"echo 'put \"{{}}\" copy' | sftp -b - -S hatchway-ssh bob@{WEB_1}",
        f"rsync -e 'hatchway ssh' '{{}}' bob@{WEB_1}:copy",
        f"rsync -e 'hatchway ssh --max-tunnel-duration 600 -l bob' '{{}}' {WEB_1}:copy",
    ],
)
def test_files_are_copied_by_what_runs_ssh(
    shell: Shell, enrolled_host: Sshd, tmp_path: Path, line: str
) -> None:
    if shutil.which(line.split(maxsplit=1)[0]) is None and line.startswith("rsync"):
        pytest.skip("rsync is missing: install it")
    enrolled_host.machine.run(["rm", "-f", "/home/bob/copy"], check=True)
    digest = _tree(tmp_path)
    status, _, errors = shell(line.format(tmp_path / "a b"))
    assert (status, errors) == (0, "")
    copied = enrolled_host.machine.run(["sha256sum", "/home/bob/copy"], check=True).stdout
    assert copied.split()[0] == digest


def test_git_pushes_and_clones(shell: Shell, enrolled_host: Sshd, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is missing: install it")
    make = "rm -rf r.git; git init -q --bare r.git"
    enrolled_host.machine.run(["su", "bob", "-c", f"cd /home/bob; {make}"], check=True)
    line = (
        f"set -e; cd {tmp_path}; export GIT_SSH_COMMAND='hatchway ssh' GIT_CONFIG_GLOBAL=/dev/null;"
        "git init -q here; cd here;"
        "git -c user.name=c -c user.email=c@example commit -q --allow-empty -m one;"
        f"git push -q bob@{WEB_1}:r.git HEAD:main;"
        f"git clone -q -b main ssh://bob@{WEB_1}:22/home/bob/r.git ../there;"
        "git -C ../there log --format=%s"
    )
    status, printed, errors = shell(line)
    assert (status, printed) == (0, "one\n"), errors


def test_what_has_not_the_keys_that_the_host_reported_is_refused(
    shell: Shell, enrolled_host: Sshd, plain_ssh: Path
) -> None:
    # The configuration has StrictHostKeyChecking no.
    assert shell(f"hatchway ssh {WEB_1} id -un") == (0, "ec2-user\n", "")
    other = (
        "ssh-keygen -q -t ed25519 -N '' -f /root/other &&"
        " exec /usr/sbin/sshd -h /root/other -p 2222 -o PidFile=/root/other.pid"
    )
    enrolled_host.machine.run(["sh", "-c", other], check=True)
    try:
        for line in (f"hatchway ssh -p 2222 {WEB_1} id -un", f"ssh -F {plain_ssh} -p 2222 web-1 id -un"):
            status, output, errors = shell(line)
            assert (status, output) == (255, "")
            assert f"hatchway: {WEB_1} shows the host key SHA256:" in errors
        freely = f"hatchway ssh -p 2222 -o UserKnownHostsFile=/dev/null {WEB_1} id -un"
        assert shell(freely)[1] == "ec2-user\n"
    finally:
        # Other tests have the port on the same host.
        enrolled_host.machine.run(["sh", "-c", "kill $(cat /root/other.pid)"], check=True)


@pytest.fixture(scope="module")
def plain_ssh(sheila: AwsCli, enrolled_host: Sshd) -> Path:
    """Where sheila's ssh has been told of her hosts, with a configuration of her own behind that."""
    directory = sheila.home / "ssh"
    directory.mkdir(mode=0o700)
    (directory / "config").write_text("Host *\n    Compression no\n")
    done = sheila.machine.run(
        ["hatchway", "ssh-config", "--os-user", "bob", "--ssh-directory", str(directory)],
        env=sheila.full_environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Try: ssh web-1" in done.stdout
    return directory / "config"


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("ssh -F {config} web-1 id -un", "bob\n"),
        # To what only that host knows.
        (
            "ssh -F {config} -J web-1_default -i ~/own-key -o StrictHostKeyChecking=no"
            " -o UserKnownHostsFile=/dev/null root@localhost id -un",
            "root\n",
        ),
        (
            "echo in >~/file; scp -q -F {config} ~/file web-1:copied && ssh -F {config} web-1 cat copied",
            "in\n",
        ),
        (
            "rsync -e 'ssh -F {config}' ~/file web-1:copied && ssh -F {config} web-1 rm -v copied",
            "removed 'copied'\n",
        ),
        # Ansible's, and VS Code's.
        (
            "for n in 1 2; do ssh -F {config} -C -o ControlMaster=auto -o ControlPersist=60s"
            " -o ConnectTimeout=60 -o 'ControlPath=\"~/p-%C\"' web-1"
            " '/bin/sh -c \"echo ~ && sleep 0\"'; done;"
            " ssh -F {config} -o 'ControlPath=\"~/p-%C\"' -O exit web-1",
            "/home/bob\n/home/bob\n",
        ),
        ("echo 'id -un; exit' | ssh -F {config} -T -D 51080 -o ConnectTimeout=60 web-1 bash", "bob\n"),
    ],
)
def test_plain_ssh_reaches_hosts_by_their_names(
    shell: Shell, plain_ssh: Path, line: str, printed: str
) -> None:
    status, output, _ = shell(line.format(config=plain_ssh))
    assert (status, output) == (0, printed)
