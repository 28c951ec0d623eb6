"""The host script on real machines with a real sshd: beside a server, after its earlier version, in vain.

It is what docs/hosts.md has its readers do.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import security_key
from tests.e2e.commands import hatchway_on
from tests.e2e.hatchway_server import API_URL, DNS_NAME, FLEET, Hatchway
from tests.e2e.machines import Machine
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, make_key, start_sshd
from tests.e2e.security_key import SecurityKey, agent_of
from tests.host.pretend import Done

from hatchway.host.script import HostLayout

INSTANCE = "i-0123456789abcdef2"
ADDRESS = "10.0.1.20"
FORMER = Path(__file__).with_name("former_host")

# All that a script could have changed, with owners, modes and contents; not the copies that useradd keeps.
FILES = (
    "find /etc /var/lib /usr/local ! -name '*-' -printf '%p %y %m %u:%g %l\\n' | LC_ALL=C sort;"
    "find /etc /var/lib -xdev -type f ! -name '*-' -size -1M -exec sha256sum {} + | LC_ALL=C sort"
)


@pytest.fixture(scope="module")
def enrolled(hatchway: Hatchway) -> Hatchway:
    instance = {**FLEET["instances"]["web-1"], "id": INSTANCE, "private_ip": ADDRESS}  # type: ignore[index]
    del instance["ipv6"]
    hatchway.apply({**FLEET, "instances": {"web-2": instance}})
    return hatchway


@pytest.fixture
def host(enrolled: Hatchway, network: Network, tmp_path: Path) -> Iterator[Sshd]:
    machine = network.machine("web-2", ADDRESS)
    machine.add_name(Network.GATEWAY, DNS_NAME)
    yield start_sshd(machine, tmp_path / "sshd.log")
    network.remove(machine)


def new_script(hatchway: Hatchway) -> str:
    return hatchway.command("host", "script", INSTANCE, "--api-url", API_URL)


def former_script(hatchway: Hatchway) -> str:
    """The script of versions that had their files in the server's directories, with a token of today."""
    now = new_script(hatchway)
    token = re.search(r"^token=(\S+)$", now, re.MULTILINE)
    certificates = re.search(r"<<'END_OF_CERTIFICATE'\n(.*?)\nEND_OF_CERTIFICATE", now, re.DOTALL)
    assert token is not None
    assert certificates is not None
    values = {
        "PATH": HostLayout().path, "INSTANCE_ID": INSTANCE, "API_URL": API_URL, "TOKEN": token[1],
        "DIRECTORY": "/etc/hatchway", "STATE": "/var/lib/hatchway", "SSHD_CONFIG": "/etc/ssh/sshd_config",
        "PID_FILE": "/run/sshd.pid", "CA_CERTIFICATE_PEM": certificates[1],
    }  # fmt: skip

    def filled_in(text: str) -> str:
        return re.sub("@([A-Z_]+)@", lambda match: values[match[1]], text)

    values["COMMAND"] = filled_in((FORMER / "authorized-keys.sh").read_text())
    return filled_in((FORMER / "install.sh").read_text())


def run(machine: Machine, script: str, *arguments: str) -> Done:
    return machine.run(["sh", "-s", "--", *arguments], input=script)


def files(machine: Machine) -> str:
    return machine.run(["sh", "-c", FILES], check=True).stdout


def asked_for(report: str) -> set[str]:
    """The users of whose keys sshd asks Hatchway, as the script saw it."""
    (found,) = re.findall("asks Hatchway for keys of: (.*)", report)
    return set(found.split(", "))


def lets_in(hatchway: Hatchway, host: Sshd, directory: Path) -> bool:
    """Whether a key that is pushed now opens a shell."""
    key = directory / "key"
    if not key.exists():
        make_key(key)
    hatchway.root.run(
        "ec2-instance-connect", "send-ssh-public-key", "--instance-id", INSTANCE, "--instance-os-user",
        "ec2-user", "--ssh-public-key", f"file://{key}.pub", check=True,
    )  # fmt: skip
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv = ["ssh", "-F", "none", *options, "-i", str(key), f"ec2-user@{ADDRESS}", "id -un"]
    return hatchway.machine.run(argv).stdout == "ec2-user\n"


def test_a_host_is_set_up_and_left_as_it_was(enrolled: Hatchway, host: Sshd, tmp_path: Path) -> None:
    before = files(host.machine)
    done = run(host.machine, new_script(enrolled))
    assert (done.returncode, done.stderr) == (0, "")
    assert {"users yet to be made", "root", "ec2-user"} <= asked_for(done.stdout)
    host.reload()
    assert lets_in(enrolled, host, tmp_path)
    done = run(host.machine, new_script(enrolled), "--uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert files(host.machine) == before
    host.reload()
    assert not lets_in(enrolled, host, tmp_path)


def test_a_host_proves_itself_is_known_by_its_keys_and_logs_who_comes(
    enrolled: Hatchway, host: Sshd, tmp_path: Path
) -> None:
    host.machine.write(
        "/usr/local/bin/logger", '#!/bin/sh\nsed "s/^/$*: /" >>/var/log/hatchway-test\n', mode=0o755
    )
    host.machine.write("/var/log/hatchway-test", "", mode=0o666)
    done = run(host.machine, new_script(enrolled))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"seen: sshd .*let in a key that was made for this, for \S+ at 127.0.0.1 port 22\n", done.stdout
    )
    assert "not seen: a login" not in done.stdout
    fingerprint = host.machine.run(
        ["sh", "-c", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2"], check=True
    ).stdout.strip()
    assert f"seen: Hatchway knows this host by {fingerprint}" in done.stdout
    assert lets_in(enrolled, host, tmp_path)
    logged = host.machine.read("/var/log/hatchway-test")
    key = host.machine.run(
        ["ssh-keygen", "-lf", "-"], input=(tmp_path / "key.pub").read_text()
    ).stdout.split()[1]
    assert f"-p auth.info -t hatchway: {key} for ec2-user was pushed by arn:aws:iam::" in logged
    assert " was pushed by arn:aws:ec2:" in logged
    # sshd says by the same fingerprint from where.
    assert "Accepted publickey for ec2-user from" in host.process.output()
    assert key in host.process.output()


def test_another_command_and_ours_let_in_their_own_people_whatever_becomes_of_one(
    enrolled: Hatchway, host: Sshd, tmp_path: Path
) -> None:
    machine = host.machine
    theirs = make_key(tmp_path / "theirs")
    machine.write(
        "/usr/local/bin/other-keys",
        f"#!/bin/sh\n[ $(id -un):$1 = games:ec2-user ] || exit 3\necho '{theirs}'\n",
        mode=0o755,
    )
    machine.write(
        "/etc/ssh/sshd_config.d/04-other.conf",
        "AuthorizedKeysCommand /usr/local/bin/other-keys\nAuthorizedKeysCommandUser games\n",
    )

    def other_lets_in() -> bool:
        options = [
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ]
        argv = [
            "ssh",
            "-F",
            "none",
            *options,
            "-i",
            str(tmp_path / "theirs"),
            f"ec2-user@{ADDRESS}",
            "id -un",
        ]
        return enrolled.machine.run(argv).stdout == "ec2-user\n"

    host.reload()
    assert other_lets_in()
    before = files(machine)
    done = run(machine, new_script(enrolled))
    assert (done.returncode, done.stderr) == (0, "")
    assert "let in a key that was made for this" in done.stdout
    assert other_lets_in()
    assert lets_in(enrolled, host, tmp_path)
    machine.run(["mv", "/etc/hatchway-host/authorized-keys", "/etc/hatchway-host/away"], check=True)
    assert other_lets_in()
    machine.run(["mv", "/etc/hatchway-host/away", "/etc/hatchway-host/authorized-keys"], check=True)
    machine.run(["mv", "/usr/local/bin/other-keys", "/usr/local/bin/away"], check=True)
    assert lets_in(enrolled, host, tmp_path)
    machine.run(["mv", "/usr/local/bin/away", "/usr/local/bin/other-keys"], check=True)
    assert run(machine, new_script(enrolled), "--uninstall").returncode == 0
    assert files(machine) == before
    host.reload()
    assert other_lets_in()
    assert not lets_in(enrolled, host, tmp_path)


@pytest.mark.parametrize("kind", [security_key.ED25519, security_key.ECDSA])
def test_a_key_that_lives_on_a_security_key_lets_its_holder_in(
    enrolled: Hatchway, host: Sshd, tmp_path: Path, kind: str
) -> None:
    assert run(host.machine, new_script(enrolled)).returncode == 0
    key, agent, public = SecurityKey(kind), tmp_path / "agent", tmp_path / "key.pub"
    public.write_text(key.public_key + "\n")
    enrolled.root.run(
        "ec2-instance-connect", "send-ssh-public-key", "--instance-id", INSTANCE, "--instance-os-user",
        "ec2-user", "--ssh-public-key", f"file://{public}", check=True,
    )  # fmt: skip
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv = ["ssh", "-F", "none", *options, "-o", f"IdentityAgent={agent}", f"ec2-user@{ADDRESS}", "id -un"]
    with agent_of(key, agent):
        assert enrolled.machine.run(argv).stdout == "ec2-user\n"


def test_a_host_registers_itself_by_a_token_and_lets_people_in(
    enrolled: Hatchway, network: Network, tmp_path: Path
) -> None:
    options = [
        "--subnet", "office/web", "--security-group", "office/open", "--tags", "env=dev,team=web",
        "--uses", "2", "--for", "1h", "--script",
    ]  # fmt: skip
    environment = enrolled.root.full_environment
    made = hatchway_on(enrolled.machine, "host", "token", "create", *options, env=environment)
    assert made.returncode == 0, made.stderr
    machine = network.machine("web-7", "10.0.1.27")
    machine.add_name(Network.GATEWAY, DNS_NAME)
    start_sshd(machine, tmp_path / "sshd.log")
    before = files(machine)
    done = run(machine, made.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert "let in a key that was made for this" in done.stdout
    found = json.loads(
        enrolled.root.run(
            "ec2", "describe-instances", "--filters", "Name=private-ip-address,Values=10.0.1.27",
            "--output", "json", check=True,
        ).stdout
    )["Reservations"][0]["Instances"][0]  # fmt: skip
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert tags == {"Name": "web-7", "env": "dev", "team": "web"}
    assert [group["GroupName"] for group in found["SecurityGroups"]] == ["open"]
    placed = files(machine)
    assert f"for the keys of {found['InstanceId']}" in run(machine, made.stdout).stdout
    assert files(machine) == placed
    assert run(machine, made.stdout, "--uninstall").returncode == 0
    assert files(machine) == before
    # Set up anew under its name, it is not the host that it was.
    done = run(machine, made.stdout)
    assert (done.returncode, "hatchway instance deregister web-7" in done.stderr) == (1, True)
    assert files(machine) == before
    network.remove(machine)


def test_a_host_of_an_earlier_version_works_moves_works_and_is_left_as_it_was(
    enrolled: Hatchway, host: Sshd, tmp_path: Path
) -> None:
    before = files(host.machine)
    done = run(host.machine, former_script(enrolled))
    assert (done.returncode, done.stderr) == (0, "")
    host.reload()
    assert lets_in(enrolled, host, tmp_path)
    done = run(host.machine, new_script(enrolled))
    assert (done.returncode, done.stderr) == (0, "")
    assert not host.machine.run(["ls", "-d", "/etc/hatchway", "/var/lib/hatchway"]).stdout
    host.reload()
    assert lets_in(enrolled, host, tmp_path)
    assert run(host.machine, new_script(enrolled), "--uninstall").returncode == 0
    assert files(host.machine) == before


def test_on_a_server_s_own_machine_the_server_keeps_everything(enrolled: Hatchway, host: Sshd) -> None:
    machine = host.machine
    data = "/var/lib/hatchway"
    name = ("--gateway-dns-name", "gateway.example")
    hatchway_on(machine, "init", "--data-dir", data, *name, check=True)
    machine.write("/etc/hatchway/environment", "OTEL_SDK_DISABLED=true\n", mode=0o600)
    before = files(machine)
    script = new_script(enrolled)
    broken = re.sub(r"(?m)^token=hwh_(i-[0-9a-z]+)_.*$", rf"token=hwh_\1_{'A' * 43}", script)
    done = run(machine, broken)
    assert done.returncode == 1
    assert "refuses this host's token" in done.stderr
    assert files(machine) == before
    assert run(machine, script).returncode == 0
    assert hatchway_on(machine, "export", "--data-dir", data).returncode == 0
    assert run(machine, script, "--uninstall").returncode == 0
    assert files(machine) == before


def test_a_server_whose_directory_the_earlier_version_took_gets_it_back(
    enrolled: Hatchway, host: Sshd
) -> None:
    machine = host.machine
    machine.run(["useradd", "-r", "hatchway"], check=True)
    make = "mkdir -m 700 $0; cd $0; touch master.key hatchway.db; chown -R hatchway: ."
    machine.run(["sh", "-c", make, "/var/lib/hatchway"], check=True)
    before = files(machine)
    assert run(machine, former_script(enrolled)).returncode == 0
    taken = files(machine)
    done = run(machine, new_script(enrolled))
    assert done.returncode == 1
    assert files(machine) == taken
    advice = re.search(r"'(chown [^']*)'", done.stderr)
    assert advice is not None
    machine.run(shlex.split(advice[1]), check=True)
    machine.run(["chgrp", "hatchway", "/var/lib/hatchway"], check=True)
    assert run(machine, new_script(enrolled)).returncode == 0
    assert run(machine, new_script(enrolled), "--uninstall").returncode == 0
    assert files(machine) == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "AuthorizedKeysCommand=/bin/true %u", "-o", "AuthorizedKeysCommandUser=nobody"],
         "another AuthorizedKeysCommand, /bin/true %u"),
        (["-oPubkeyAuthentication=no"], "PubkeyAuthentication no"),
        (["-f", "/etc/ssh/other_config"], "Include /etc/ssh/sshd_config.d/*.conf"),
    ],
)  # fmt: skip
def test_a_running_sshd_that_would_never_ask_is_an_error_and_nothing_is_changed(
    enrolled: Hatchway, host: Sshd, tmp_path: Path, options: list[str], reason: str
) -> None:
    machine = host.machine
    machine.run(["sh", "-c", "kill $(cat /run/sshd.pid)"], check=True)
    host.process.wait()
    machine.run(["sh", "-c", "grep -v ^Include /etc/ssh/sshd_config >/etc/ssh/other_config"], check=True)
    running = machine.start(["/usr/sbin/sshd", "-D", "-e", *options], tmp_path / "other.log")
    running.wait_for("Server listening on 0.0.0.0")
    before = files(machine)
    done = run(machine, new_script(enrolled))
    assert done.returncode == 1, done.stdout
    assert reason in done.stderr
    assert files(machine) == before


def test_match_blocks_are_answered_for_user_by_user(enrolled: Hatchway, host: Sshd) -> None:
    host.machine.run(["useradd", "--create-home", "--shell", "/bin/sh", "git"], check=True)
    host.machine.write(
        "/etc/ssh/sshd_config",
        "\nMatch User git\n  AuthorizedKeysCommand /bin/true\n  AuthorizedKeysCommandUser nobody\n"
        "Match Group ec2-user\n  AuthorizedKeysCommand none\n",
        append=True,
    )
    done = run(host.machine, new_script(enrolled))
    assert done.returncode == 0, done.stderr
    assert "for git: it has another AuthorizedKeysCommand, /bin/true\n" in done.stdout
    assert "for ec2-user: " in done.stdout
    assert {"users yet to be made", "root"} <= asked_for(done.stdout)
    assert asked_for(done.stdout).isdisjoint({"git", "ec2-user"})


def test_with_a_read_only_etc_nothing_is_changed(enrolled: Hatchway, host: Sshd) -> None:
    before = files(host.machine)
    host.machine.run(["sh", "-c", "mount --bind /etc /etc && mount -o remount,bind,ro /etc"], check=True)
    done = run(host.machine, new_script(enrolled))
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    host.machine.run(["umount", "/etc"], check=True)
    assert files(host.machine) == before


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_with_a_full_disk_nothing_is_changed(enrolled: Hatchway, host: Sshd, pages: int) -> None:
    place = "/etc/hatchway-host"
    host.machine.run(["mkdir", place], check=True)
    before = files(host.machine)
    size = f"size={4096 * pages}"
    host.machine.run(["mount", "-t", "tmpfs", "-o", f"{size},mode=755", "full", place], check=True)
    done = run(host.machine, new_script(enrolled))
    assert done.returncode == 1
    assert host.machine.run(["ls", "-A", place]).stdout == ""
    host.machine.run(["umount", place], check=True)
    assert files(host.machine) == before
