"""A whole Hatchway on the gateway machine: init, serve, a fleet, and people with access keys."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from tests.e2e.aws import AwsCli
from tests.e2e.commands import hatchway_on
from tests.e2e.machines import Machine
from tests.e2e.network import Network
from tests.e2e.processes import Process
from tests.e2e.waiting import wait_until
from tests.trail_files import events_in

ACCOUNT = "123456789012"
DNS_NAME = "gateway.hatchway.test"
API_URL = f"https://{DNS_NAME}:8443"
ENDPOINT = "eice-0123456789abcdef0"
ENDPOINT_ARN = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance-connect-endpoint/{ENDPOINT}"
WEB_1 = "i-0123456789abcdef1"

FLEET = {
    "account": ACCOUNT,
    "region": "us-east-1",
    "quotas": {"endpoints_per_vpc": 4, "endpoints_per_subnet": 3},
    "vpcs": {
        "office": {
            "cidr": ["10.0.0.0/16", "fd00:10::/32"],
            "subnets": {
                "web": {
                    "cidr": ["10.0.1.0/24", "fd00:10:0:1::/64"],
                    "availability_zone": "us-east-1a",
                    "tags": {"env": "dev"},
                },
                "spare": {"cidr": "10.0.2.0/24", "availability_zone": "us-east-1a"},
            },
            "security_groups": {
                "open": {
                    "ingress": [
                        {"protocol": "tcp", "ports": "all", "source": "10.0.0.0/16"},
                        {"protocol": "tcp", "ports": "all", "source": "fd00:10::/32"},
                    ],
                },
            },
        }
    },
    "instances": {
        "web-1": {
            "id": WEB_1,
            "tags": {"Name": "web-1"},
            "subnet": "office/web",
            "private_ip": "10.0.1.1",
            "ipv6": "fd00:10:0:1::1",
            "security_groups": ["office/open"],
        }
    },
    "endpoints": {"office": {"id": ENDPOINT, "subnet": "office/web", "max_tunnels": 200}},
}


def allow(action: str | list[str], resource: str = "*", **condition: Mapping[str, str]) -> dict[str, Any]:
    """A statement; `condition` is operators by name."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


DESCRIBE = allow(["ec2:DescribeInstances", "ec2:DescribeInstanceConnectEndpoints"])
PUSH_KEY = allow("ec2-instance-connect:SendSSHPublicKey", StringEquals={"ec2:osuser": "ec2-user"})
OPEN_TUNNEL = allow("ec2-instance-connect:OpenTunnel", ENDPOINT_ARN)


@dataclass
class Hatchway:
    """A running server, and its administrator's ways in.

    Attributes:
        root: the AWS CLI.
        iam: a client of boto3: a start of the AWS CLI takes a second of a processor.
    """

    machine: Machine
    directory: Path
    root: AwsCli
    iam: Any
    process: Process

    def command(self, *arguments: str) -> str:
        """Runs `hatchway ARGUMENTS…` on the server; what it printed. It must succeed."""
        environment = {"HATCHWAY_DATA_DIR": str(self.directory / "data")}
        return hatchway_on(self.machine, *arguments, env=environment, check=True).stdout

    def apply(self, fleet: Mapping[str, Any]) -> None:
        path = self.directory / "fleet.json"
        path.write_text(json.dumps(fleet))
        self.command("apply", str(path))

    def user(self, name: str, *statements: Mapping[str, Any]) -> AwsCli:
        """A new user with one inline policy, as the AWS CLI that has its key."""
        with self.machine.joined():
            self.iam.create_user(UserName=name)
            key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.permit(name, *statements)
        home = self.directory / f"home-{name}"
        home.mkdir()
        cli = AwsCli(self.root.program, self.root.machine, home, self.root.environment)
        return cli.with_key(key["AccessKeyId"], key["SecretAccessKey"])

    def permit(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Makes this the user's only inline policy."""
        with self.machine.joined():
            self.iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy(*statements))

    def events(
        self, name: str, where: Callable[[dict[str, Any]], bool] = lambda _event: True
    ) -> list[dict[str, Any]]:
        """The audit events of this name that `where` picks: at least one comes to be."""
        path = self.directory / "data" / "audit.jsonl"

        def found() -> list[dict[str, Any]]:
            return [event for event in events_in(path, name) if where(event)]

        return wait_until(found, message=lambda: f"there is no such {name}")

    def start(self) -> None:
        """Starts the server again, and waits until it is ready."""
        self.process = serve(self.machine, self.directory)


def serve(machine: Machine, directory: Path) -> Process:
    """Starts `hatchway serve`, and waits until it is ready."""
    log = directory / f"serve-{len(list(directory.glob('serve-*')))}.log"
    argv = [
        sys.executable, "-m", "hatchway", "serve", "--data-dir", str(directory / "data"),
        "--api", "0.0.0.0:8443", "--gateway", "0.0.0.0:443",
    ]  # fmt: skip
    process = machine.start(argv, log)
    process.wait_for("ready ")
    return process


def start_hatchway(network: Network, aws_program: Path, directory: Path) -> Iterator[Hatchway]:
    """Makes the installation, starts it, and stops it again."""
    machine = network.gateway
    machine.add_name("127.0.0.1", DNS_NAME)
    data = directory / "data"
    options = ("--account", ACCOUNT, "--gateway-dns-name", DNS_NAME, "--json")
    init = hatchway_on(machine, "init", "--data-dir", str(data), *options, check=True)
    made = json.loads(init.stdout)
    ca = Path(made["ca_certificate"]).read_text()
    machine.trust(ca)
    bundle = directory / "ca.pem"
    bundle.write_text(ca)
    home = directory / "home-root"
    home.mkdir()
    environment = {
        "AWS_REGION": made["region"],
        "AWS_ENDPOINT_URL": API_URL,
        "AWS_CA_BUNDLE": str(bundle),
    }
    root = AwsCli(aws_program, machine, home, environment)
    root = root.with_key(made["access_key_id"], made["secret_access_key"])
    iam = boto3.client(
        "iam", region_name=made["region"], endpoint_url="https://127.0.0.1:8443", verify=str(bundle),
        aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"],
    )  # fmt: skip
    server = Hatchway(machine, directory, root, iam, serve(machine, directory))
    server.apply(FLEET)
    yield server
    server.process.stop()
