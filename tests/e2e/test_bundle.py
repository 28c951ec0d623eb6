"""A bundle on somebody else's machine: another user's, who has nothing but it, the AWS CLI, ssh and boto3."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.hatchway_server import (
    API_URL,
    DESCRIBE,
    DNS_NAME,
    OPEN_TUNNEL,
    PUSH_KEY,
    WEB_1,
    Hatchway,
)
from tests.e2e.machines import ENVIRONMENT, PRIVATE_DIRECTORIES, Machine
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd
from tests.host.pretend import Done

from hatchway import __file__ as hatchway_package

# Java's store, where there is one, is written anew by its own hook, with the time in it.
FILES = (
    "find /home/olga /usr/local/share/ca-certificates /etc/ssl/certs ! -type d ! -path '*/java/cacerts'"
    " | sort | xargs sha256sum"
)
CALLS = "import boto3; print(boto3.Session(profile_name='olga').client('sts').get_caller_identity()['Arn'])"
ARN = "arn:aws:iam::123456789012:user/olga"


@dataclass(frozen=True)
class Laptop:
    """A machine of its own with the user olga; the bundle, as she unpacked it, is in her home directory."""

    machine: Machine
    aws: Path

    def run(self, *argv: str, input: str | None = None) -> Done:
        """As olga."""
        command = ["setpriv", "--reuid", "olga", "--regid", "olga", "--clear-groups", "--", *argv]
        variables = {"HOME": "/home/olga", "PATH": f"{self.aws.parent}:{ENVIRONMENT['PATH']}"}
        return self.machine.run(command, env={**variables, "AWS_PAGER": ""}, input=input, timeout=120)

    def files(self) -> str:
        return self.machine.run(["sh", "-c", FILES], check=True).stdout


@pytest.fixture(scope="module")
def enrolled_host(hatchway: Hatchway, web_host: Sshd) -> Sshd:
    web_host.machine.add_name(Network.GATEWAY, DNS_NAME)
    script = hatchway.command("host", "script", WEB_1, "--api-url", API_URL)
    assert web_host.machine.run(["sh"], input=script).returncode == 0
    web_host.reload()
    return web_host


@pytest.fixture(scope="module")
def laptop(
    hatchway: Hatchway, network: Network, aws_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laptop]:
    if shutil.which("setpriv") is None or shutil.which("update-ca-certificates") is None:
        pytest.skip("setpriv (util-linux) or update-ca-certificates (ca-certificates) is missing")
    hatchway.user("olga", DESCRIBE, PUSH_KEY, OPEN_TUNNEL)
    bundle = tmp_path_factory.mktemp("bundle") / "olga.zip"
    said = hatchway.command("access-key", "create", "olga", "--bundle", str(bundle))
    assert f"in {bundle}, for profile olga" in said

    machine = network.machine("laptop", "10.0.3.7")
    machine.keep_few_cas()
    machine.add_name(Network.GATEWAY, DNS_NAME)
    machine.run(["useradd", "--create-home", "--shell", "/bin/sh", "olga"], check=True)
    machine.write("/etc/ssh/ssh_config.d/yes.conf", "StrictHostKeyChecking accept-new\n")
    # Programs of the test run's user are hers to run, on this machine alone.
    programs = (aws_program, Path(sys.executable), Path(sys.executable).resolve(), Path(hatchway_package))
    places = {str(parent) for program in programs for parent in program.parents}
    own = [place for place in places if place.startswith(PRIVATE_DIRECTORIES)]
    machine.run(["chmod", "o+rx", *own], check=True)
    machine.write("/home/olga/olga.zip", bundle.read_bytes())
    laptop = Laptop(machine, aws_program)
    unpacked = laptop.run("python3", "-m", "zipfile", "-e", "/home/olga/olga.zip", "/home/olga")
    assert unpacked.returncode == 0, unpacked.stderr
    if laptop.run(sys.executable, "-c", "import boto3, hatchway").returncode:
        pytest.skip(f"{sys.executable} and the packages of the test run are not readable by other users")
    yield laptop
    network.remove(machine)


def test_a_bundle_is_all_that_its_user_needs_and_goes_without_a_trace(
    laptop: Laptop, enrolled_host: Sshd
) -> None:
    script = "/home/olga/hatchway-olga/install.sh"
    before = laptop.files()

    done = laptop.run("sh", script)
    assert (done.returncode, done.stderr) == (0, "")
    identity = laptop.run(
        "aws", "--profile", "olga", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"
    )
    assert identity.stdout.strip() == ARN, identity.stderr
    assert laptop.run(sys.executable, "-c", CALLS).stdout.strip() == ARN

    # hatchway's own client needs no more than the profile.
    hatchway_ssh = [sys.executable, "-m", "hatchway", "ssh", "--profile", "olga"]
    done = laptop.run(*hatchway_ssh, f"ec2-user@{WEB_1}", "hostname")
    assert done.stdout == "web-1\n", done.stderr

    trusting = laptop.machine.run(["sh", script, "--trust"])
    assert trusting.returncode == 0, trusting.stderr
    again = laptop.machine.run(["sh", script, "--trust"])
    assert (again.returncode, again.stdout) == (0, "This system trusts the CA already.\n")
    connect = ["ec2-instance-connect", "ssh", "--instance-id", WEB_1, "--os-user", "ec2-user"]
    done = laptop.run("aws", "--profile", "olga", *connect, "--connection-type", "eice", input="hostname\n")
    assert "web-1" in done.stdout.splitlines(), done.stderr

    assert laptop.run("sh", script, "--remove").returncode == 0
    assert laptop.machine.run(["sh", script, "--untrust"]).returncode == 0
    remains = ("/home/olga/.ssh/", "/home/olga/.aws/cli/", "/home/olga/.cache/")
    after = [line for line in laptop.files().splitlines() if not line.split()[1].startswith(remains)]
    assert after == before.splitlines()
    assert laptop.machine.run(["sh", script, "--untrust"]).returncode == 1
