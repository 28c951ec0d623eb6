"""A gateway and a control plane of a few lines each."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from tests.client.certificates import Certificates

from hatchway.client.api.shared_files import Credentials
from hatchway.client.discovery.plan import Route, TunnelPlan
from hatchway.client.discovery.request import TunnelRequest

DNS_NAME = "eice-0123456789abcdef0.example.test"
INSTANCE_ID = "i-0123456789abcdef0"

Answer = WSListener | WSUpgradeResponseWithListener


@dataclass
class StubGateway:
    """Answers each request for a tunnel as `answer` says; runs in a thread of its own."""

    port: int
    ca_bundle: str
    answer: Callable[[], Answer]
    requests: list[WSUpgradeRequest] = field(default_factory=list)


def tunnel_plan(
    gateway: StubGateway,
    *,
    dns_name: str = DNS_NAME,
    address: str | None = "127.0.0.1",
    source_address: str | None = None,
) -> TunnelPlan:
    return TunnelPlan(
        TunnelRequest(endpoint_id="eice-0123456789abcdef0", dns_name=DNS_NAME, private_ip_address="10.0.1.1"),
        Route(
            dns_name=dns_name,
            port=gateway.port,
            address=address,
            source_address=source_address,
            ca_bundle=gateway.ca_bundle,
        ),
        "us-east-1",
        lambda: Credentials("AKIAEXAMPLE", "secret"),
    )


def refusal(status: int, body: bytes, headers: dict[str, str] | None = None) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body, headers), None)


@dataclass
class StubControlPlane:
    """Knows one instance and its VPC's endpoints, by (id, subnet); keeps the calls that were made.

    `kinds` and `states` are endpoints' address types and states, `addresses`, `host_keys` and `tags` the
    instance's.
    """

    url: str
    ca_bundle: str
    endpoints: list[tuple[str, str]]
    document: bytes | None = b'{"gateway_port": 8444}'
    document_status: int = 200
    instance_known: bool = True
    instance_state: str = "running"
    addresses: tuple[str, ...] = ("10.0.1.1",)
    keeps_connections: bool = False
    vpc_id: str = "vpc-1"
    more_endpoints: bool = False
    kinds: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    host_keys: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    calls: list[dict[str, list[str]]] = field(default_factory=list)

    def called(self) -> list[str]:
        return [call["Action"][0] for call in self.calls]

    def answer(self, parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        self.calls.append(parameters)
        return getattr(self, f"answer_{parameters['Action'][0]}")(parameters)  # type: ignore[no-any-return]

    def answer_DescribeInstances(self, parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        if not self.instance_known:
            error = "<Code>InvalidInstanceID.NotFound</Code><Message>No such instance</Message>"
            return 400, f"<Response><Errors><Error>{error}</Error></Errors></Response>".encode()
        names = {
            address: "ipv6Address" if ":" in address else "privateIpAddress" for address in self.addresses
        }
        fields = (
            f"<instanceId>{INSTANCE_ID}</instanceId><vpcId>vpc-1</vpcId><subnetId>subnet-1</subnetId>"
            f"<instanceState><name>{self.instance_state}</name></instanceState>"
        ) + "".join(f"<{name}>{address}</{name}>" for address, name in names.items())
        tags = "".join(f"<item><key>{key}</key><value>{tag}</value></item>" for key, tag in self.tags.items())
        fields += f"<tagSet>{tags}</tagSet>"
        instances = f"<instancesSet><item>{fields}</item></instancesSet>"
        answer = f"<reservationSet><item>{instances}</item></reservationSet>"
        return 200, f"<DescribeInstancesResponse>{answer}</DescribeInstancesResponse>".encode()

    def answer_DescribeInstanceConnectEndpoints(self, parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        wanted = parameters.get("InstanceConnectEndpointId.1", [None])[0]
        items = "".join(
            f"<item><instanceConnectEndpointId>{endpoint}</instanceConnectEndpointId>"
            f"<dnsName>{DNS_NAME}</dnsName><subnetId>{subnet}</subnetId>"
            f"<vpcId>{self.vpc_id}</vpcId><state>{self.states.get(endpoint, 'create-complete')}</state>"
            f"<ipAddressType>{self.kinds.get(endpoint, 'ipv4')}</ipAddressType></item>"
            for endpoint, subnet in self.endpoints
            if wanted in (None, endpoint)
        )
        name = "DescribeInstanceConnectEndpointsResponse"
        asked_for_all = "vpc-id" not in parameters.get("Filter.2.Name", [])
        token = "<nextToken>more</nextToken>" if self.more_endpoints and asked_for_all else ""
        body = f"<{name}><instanceConnectEndpointSet>{items}</instanceConnectEndpointSet>{token}</{name}>"
        return 200, body.encode()

    def answer_SendSSHPublicKey(self, parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        if parameters["InstanceOSUser"] == ["root"]:
            return 400, b'{"__type": "AuthException", "Message": "not authorized to push keys"}'
        return 200, b'{"RequestId": "1", "Success": true}'

    def answer_DescribeHostKeys(self, parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        told = {"InstanceId": INSTANCE_ID, "PublicKeys": self.host_keys, "ReportedAt": 0}
        return 200, json.dumps({"HostKeys": [told] if self.host_keys else []}).encode()


@contextmanager
def running_control_plane(certificates: Certificates) -> Iterator[StubControlPlane]:
    stub = StubControlPlane("", str(certificates.ca), [("eice-2", "subnet-2"), ("eice-1", "subnet-1")])

    class Handler(BaseHTTPRequestHandler):
        def parse_request(self) -> bool:
            # What is said in HTTP/1.0 ends with its connection.
            self.protocol_version = "HTTP/1.1" if stub.keeps_connections else "HTTP/1.0"
            return super().parse_request()

        def do_GET(self) -> None:
            if self.path == "/.well-known/hatchway" and stub.document is not None:
                self.reply(stub.document_status, stub.document)
            else:
                self.reply(404, b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            target = self.headers["X-Amz-Target"]
            if target is None:
                parameters = parse_qs(body)
            else:
                parameters = {name: [value] for name, value in json.loads(body).items()}
                parameters["Action"] = [target.partition(".")[2]]
            self.reply(*stub.answer(parameters))

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = certificates.server_context().wrap_socket(server.socket, server_side=True)
    stub.url = f"https://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
