"""The scenario: who tries what, and how it must end. Plain values.

The three policies restate AWS's examples ("Grant IAM permissions to use EC2 Instance Connect Endpoint") for
the demo's network, which is a loopback range so that its hosts are there on any machine.
"""

from dataclasses import dataclass
from typing import Any, Final

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
NETWORK: Final = "127.0.10.0/24"
HOSTS: Final = {"web-1": "127.0.10.11", "web-2": "127.0.10.12"}
USERS: Final = ("alice", "bob", "carol")
ALLOWED_SUBNET, OTHER_SUBNET = "web", "db"
OFFICE_RANGE: Final = "127.0.20.0/24"
IN_OFFICE, OUTSIDE_OFFICE = "127.0.20.7", "127.0.30.7"
LONGEST: Final = 600
CUT_AFTER: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEndpoint:
    """In the subnet of this name."""

    subnet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Push a key and run a command on a host by SSH. `os_user` None is the one whose host it is."""

    host: str
    duration: int | None = LONGEST
    os_user: str | None = None
    source_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTunnel:
    """Open a tunnel and stay in it to its end. `port` None is the host's SSH port."""

    host: str
    port: int | None = None
    duration: int | None = LONGEST
    source_address: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """How a step must end: allowed or refused, with `message` in what the client is told."""

    allowed: bool
    message: str


@dataclass(frozen=True, slots=True)
class Step:
    description: str
    action: CreateEndpoint | RunCommand | OpenTunnel
    expected: Expected


@dataclass(frozen=True, slots=True)
class Part:
    """What one user does. `policy` says in a line what the user's policy grants."""

    user: str
    policy: str
    steps: tuple[Step, ...]


COMMAND: Final = "echo Hello from $HATCHWAY_DEMO_HOST"
_HELLO: Final = Expected(True, "Hello from web-1")


def _not_authorized(action: str) -> Expected:
    return Expected(False, f"is not authorized to perform: {action}")


_NO_ENDPOINT: Final = _not_authorized("ec2:CreateInstanceConnectEndpoint")
_NO_TUNNEL: Final = _not_authorized("ec2-instance-connect:OpenTunnel")
_NO_KEY: Final = _not_authorized("ec2-instance-connect:SendSSHPublicKey")

ANOTHER_USER: Final = "somebody-else"

SCENARIO: Final = (
    Part(
        "alice",
        f"may create, describe and delete endpoints, in subnet {ALLOWED_SUBNET}",
        (
            Step(
                f"creates an endpoint in subnet {ALLOWED_SUBNET}",
                CreateEndpoint(subnet=ALLOWED_SUBNET),
                Expected(True, "create-complete"),
            ),
            Step(
                f"creates an endpoint in subnet {OTHER_SUBNET}",
                CreateEndpoint(subnet=OTHER_SUBNET),
                _NO_ENDPOINT,
            ),
        ),
    ),
    Part(
        "bob",
        f"may open tunnels to the SSH port of 127.0.10.10/31, for at most {LONGEST} seconds, as one OS user",
        (
            Step("runs a command on web-1 by SSH, through a tunnel", RunCommand(host="web-1"), _HELLO),
            Step("opens a tunnel to port 3389", OpenTunnel(host="web-1", port=3389), _NO_TUNNEL),
            Step(f"opens a tunnel to web-2, at {HOSTS['web-2']}", OpenTunnel(host="web-2"), _NO_TUNNEL),
            Step("asks for no duration", OpenTunnel(host="web-1", duration=None), _NO_TUNNEL),
            Step(
                f"pushes a key for OS user {ANOTHER_USER}",
                RunCommand(host="web-1", os_user=ANOTHER_USER),
                _NO_KEY,
            ),
            Step(
                f"stays in a tunnel of {CUT_AFTER} seconds",
                OpenTunnel(host="web-1", duration=CUT_AFTER),
                Expected(True, f"Tunnel reached its maximum duration of {CUT_AFTER} seconds"),
            ),
        ),
    ),
    Part(
        "carol",
        f"may open tunnels to the SSH port of any host, from {OFFICE_RANGE} only",
        (
            Step(
                f"runs the command from {IN_OFFICE}",
                RunCommand(host="web-1", source_address=IN_OFFICE),
                _HELLO,
            ),
            Step(
                f"opens a tunnel from {OUTSIDE_OFFICE}",
                OpenTunnel(host="web-1", source_address=OUTSIDE_OFFICE),
                _NO_TUNNEL,
            ),
        ),
    ),
)


def fleet() -> dict[str, Any]:
    """The demo's fleet file."""
    return {
        "account": ACCOUNT,
        "region": REGION,
        "vpcs": {
            "demo": {
                "cidr": NETWORK,
                "subnets": {
                    ALLOWED_SUBNET: {"cidr": "127.0.10.0/25", "availability_zone": f"{REGION}a"},
                    OTHER_SUBNET: {"cidr": "127.0.10.128/25", "availability_zone": f"{REGION}b"},
                },
            }
        },
        "instances": {
            name: {"subnet": f"demo/{ALLOWED_SUBNET}", "private_ip": address, "tags": {"Name": name}}
            for name, address in HOSTS.items()
        },
        "users": {name: {} for name in USERS},
    }


def policy_for_endpoints(subnet_id: str) -> dict[str, Any]:
    """alice's: the first example, for one subnet."""
    return _document(
        {
            "Sid": "GrantAllActionsInOneSubnet",
            "Effect": "Allow",
            "Action": [
                "ec2:CreateInstanceConnectEndpoint",
                "ec2:DeleteInstanceConnectEndpoint",
                "ec2:CreateNetworkInterface",
                "ec2:CreateTags",
                "iam:CreateServiceLinkedRole",
            ],
            "Resource": f"arn:aws:ec2:{REGION}:{ACCOUNT}:subnet/{subnet_id}",
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateNetworkInterface",
            "Resource": "arn:aws:ec2:::security-group/*",
        },
        {
            "Sid": "Describe",
            "Effect": "Allow",
            "Action": "ec2:DescribeInstanceConnectEndpoints",
            "Resource": "*",
        },
    )


def policy_for_tunnels(endpoint_id: str, port: int, os_user: str) -> dict[str, Any]:
    """bob's: the second example, for ten minutes."""
    conditions = {
        "NumericEquals": {"ec2-instance-connect:remotePort": str(port)},
        "IpAddress": {"ec2-instance-connect:privateIpAddress": "127.0.10.10/31"},
        "NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": str(LONGEST)},
    }
    return _document(_open_tunnel(endpoint_id, conditions), *_push_and_describe(os_user))


def policy_for_the_office(endpoint_id: str, port: int, os_user: str) -> dict[str, Any]:
    """carol's: the third example."""
    conditions = {
        "IpAddress": {"aws:SourceIp": OFFICE_RANGE},
        "NumericEquals": {"ec2-instance-connect:remotePort": str(port)},
    }
    return _document(_open_tunnel(endpoint_id, conditions), *_push_and_describe(os_user))


def _open_tunnel(endpoint_id: str, conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": "EC2InstanceConnect",
        "Effect": "Allow",
        "Action": "ec2-instance-connect:OpenTunnel",
        "Resource": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance-connect-endpoint/{endpoint_id}",
        "Condition": conditions,
    }


def _push_and_describe(os_user: str) -> tuple[dict[str, Any], ...]:
    return (
        {
            "Sid": "SSHPublicKey",
            "Effect": "Allow",
            "Action": "ec2-instance-connect:SendSSHPublicKey",
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:osuser": os_user}},
        },
        {
            "Sid": "Describe",
            "Effect": "Allow",
            "Action": ["ec2:DescribeInstances", "ec2:DescribeInstanceConnectEndpoints"],
            "Resource": "*",
        },
    )


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
