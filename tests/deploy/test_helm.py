"""The chart as Helm renders it: right by Kubernetes' schemas, restricted, and what it starts serves.

The page is docs/deploy.md.
"""

import itertools
import json
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.cli.commands import environment, hatchway
from tests.cli.test_documented_commands import parse
from tests.deploy.site import ACCOUNT, ANSWER, FLEET, start, through_a_tunnel
from tests.e2e.waiting import free_port
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway import __version__
from hatchway.keys.key_files import new_key
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "deploy/helm/hatchway"
DOCKERFILE = REPOSITORY / "deploy/container/Dockerfile"

LEAST = {"account": {"gatewayDnsName": "hatchway.example"}}
MOST = {
    "image": {"repository": "registry.example/hatchway", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "account": {"id": ACCOUNT, "region": "eu-west-1", "gatewayDnsName": "{endpoint_id}.hatchway.example"},
    "secrets": {"storeCa": "database-ca"},
    "control": {
        "listen": "::",
        "service": {
            "type": "LoadBalancer",
            "annotations": {"example.com/kind": "internal"},
            "externalTrafficPolicy": "Local",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
        },
        "proxyProtocolFrom": ["10.0.0.10"],
        "extraArgs": ["--api-reads=200"],
        "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}],
    },
    "gateway": {
        "listen": "::",
        "service": {
            "annotations": {"example.com/kind": "public"},
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
        },
        "drainSeconds": 60,
        "proxyProtocolFrom": ["10.0.0.10/32"],
        "vpcs": ["office", "cage: the 2nd (lab)"],
        "endpoints": ["gate", "eice-0123456789abcdef0"],
        "neverTargets": ["api.hatchway.example"],
        "extraArgs": ["--idle-limit=900"],
        "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}],
    },
    "networkPolicy": {
        "apiFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "gatewayFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "storeTo": [{"ipBlock": {"cidr": "10.1.0.5/32"}}],
        "targets": [{"ipBlock": {"cidr": "10.0.0.0/16"}}],
        "extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}],
    },
    "podAnnotations": {"prometheus.io/scrape": "true"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
}
NEITHER = {**LEAST, "networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}}
VALUES: dict[str, dict[str, Any]] = {"least": LEAST, "most": MOST, "neither": NEITHER}


def find_helm() -> str | None:
    script = REPOSITORY / "scripts/fetch_program.py"
    found = subprocess.run(
        [sys.executable, script, "helm", "--cached"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else shutil.which("helm")


HELM = find_helm()
pytestmark = pytest.mark.skipif(HELM is None, reason="helm is missing: scripts/fetch_program.py helm")


def helm(*words: "str | Path", values: Mapping[str, Any]) -> "subprocess.CompletedProcess[str]":
    assert HELM is not None
    return subprocess.run(
        [HELM, *words, CHART, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(values: Mapping[str, Any], release: str = "hatchway") -> list[dict[str, Any]]:
    done = helm("template", release, values=values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document is not None]


@pytest.fixture(scope="module", params=VALUES)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(VALUES[request.param])


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in of_kind(objects, "Deployment")]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_wrong_with_the_chart(values: str) -> None:
    done = helm("lint", "--strict", values=VALUES[values])
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_knows_every_field(objects: list[dict[str, Any]]) -> None:
    versions = kubernetes_validate.utils.latest_version(), "1.34"
    for version, document in itertools.product(versions, objects):
        kubernetes_validate.validate(document, version, strict=True)


def test_it_is_for_the_program_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    (image,) = {each["image"] for pod in pods(rendered(LEAST)) for each in containers(pod)}
    assert image == f"hatchway:{__version__}"


def test_pods_are_restricted(objects: list[dict[str, Any]]) -> None:
    """By the Pod Security Standard of that name, and with a root file system that nobody writes to."""
    for pod in pods(objects):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {each["name"] for each in pod["securityContext"].get("sysctls", [])} <= {
            "net.ipv4.ip_unprivileged_port_start"
        }
        for volume in pod["volumes"]:
            assert set(volume) - {"name"} <= {"secret", "emptyDir"}
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_gateways_are_given_no_master_key(objects: list[dict[str, Any]]) -> None:
    control, gateway = (
        {variable["name"] for container in containers(pod) for variable in container["env"]}
        for pod in sorted(pods(objects), key=lambda pod: str(pod["containers"][0]["name"]))
    )
    assert "HATCHWAY_MASTER_KEY" in control
    assert "HATCHWAY_GATEWAY_KEY" in gateway
    assert "HATCHWAY_MASTER_KEY" not in gateway


def test_what_selects_pods_finds_them_of_one_plane(objects: list[dict[str, Any]]) -> None:
    planes = {each["metadata"]["name"]: each["spec"]["template"] for each in of_kind(objects, "Deployment")}
    for each in objects:
        if each["kind"] == "Deployment":
            continue
        spec = each["spec"]
        wanted = spec.get("podSelector") or spec["selector"]
        labels = wanted.get("matchLabels", wanted).items()
        found = [name for name, pod in planes.items() if labels <= pod["metadata"]["labels"].items()]
        assert found == [each["metadata"]["name"]]
        names = {port["name"] for port in planes[found[0]]["spec"]["containers"][0]["ports"]}
        used = [port.get("targetPort") for port in spec.get("ports", [])]
        used += [port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]]
        assert set(used) <= names


def test_names_of_releases_beside_each_other_differ() -> None:
    kinds = [
        {(each["kind"], each["metadata"]["name"]) for each in rendered(LEAST, release)}
        for release in ("hatchway", "office", "hatchway-2")
    ]
    assert sum(map(len, kinds)) == len(set.union(*kinds))


def test_commands_of_containers_are_ones_that_there_are(objects: list[dict[str, Any]]) -> None:
    for pod in pods(objects):
        for container in containers(pod):
            parse(container["args"])


def test_a_gateway_is_given_the_time_that_its_tunnels_have() -> None:
    for values, seconds in ((LEAST, 3600), (MOST, 60)):
        (pod,) = (pod for pod in pods(rendered(values)) if pod["containers"][0]["name"] == "gateway")
        assert f"--drain-timeout={seconds}" in pod["containers"][0]["args"]
        assert pod["terminationGracePeriodSeconds"] >= seconds + 30


def test_gateways_are_bound_to_what_is_named_as_it_is_called() -> None:
    """A name may hold what YAML takes for its own."""
    (pod,) = (pod for pod in pods(rendered(MOST)) if pod["containers"][0]["name"] == "gateway")
    words = pod["containers"][0]["args"]
    bound = [word for word in words if word.startswith(("--vpc", "--endpoint"))]
    named = VALUES["most"]["gateway"]
    assert bound == [
        *(f"--vpc={name}" for name in named["vpcs"]),
        *(f"--endpoint={name}" for name in named["endpoints"]),
    ]


def test_another_release_has_gateways_alone() -> None:
    """Those of another network, as the page says."""
    values = {**LEAST, "control": {"replicas": 0}, "gateway": {"endpoints": ["gate"]}}
    replicas = {
        each["metadata"]["name"]: each["spec"]["replicas"]
        for each in of_kind(rendered(values, "cage"), "Deployment")
    }
    assert replicas == {"cage-hatchway-control": 0, "cage-hatchway-gateway": 2}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "gatewayDnsName"),
        ({"account": {"gatewayDnsName": "hatchway.example:443"}}, "gatewayDnsName"),
        ({"account": {"gatewayDnsName": "h.example", "id": "12345"}}, "/account/id"),
        ({**LEAST, "control": {"replica": 3}}, "replica"),
        ({**LEAST, "gateway": {"proxyProtocolFrom": ["lb.example"]}}, "/gateway/proxyProtocolFrom/0"),
        ({**LEAST, "gateway": {"vpcs": [""]}}, "/gateway/vpcs/0"),
        ({**LEAST, "gateway": {"vpcs": "office"}}, "/gateway/vpcs"),
        ({**LEAST, "gateway": {"endpoints": ["gate", "--vpc"]}}, "/gateway/endpoints/1"),
        ({**LEAST, "gateway": {"endpoints": ["$(HATCHWAY_GATEWAY_KEY)"]}}, "/gateway/endpoints/0"),
    ],
)
def test_values_that_cannot_be_right_are_refused_by_name(values: dict[str, Any], named: str) -> None:
    done = helm("template", "hatchway", values=values)
    assert done.returncode != 0
    assert named in done.stderr


# What the chart starts, started here: its containers' commands with their environment, as process 1 for root,
# who may have that, on ports and in directories of the test's own.


@dataclass(frozen=True)
class Cluster:
    """Stands for what runs containers."""

    place: Path
    secrets: Mapping[tuple[str, str], str]
    ports: Mapping[int, int]

    def command(self, container: Mapping[str, Any]) -> list[str]:
        words = [sys.executable, "-P", "-m", "hatchway", *container["args"]]
        for inside, outside in self.ports.items():
            words = [re.sub(rf"(?<==)0\.0\.0\.0:{inside}$", f"127.0.0.1:{outside}", word) for word in words]
        return [word.replace("/etc/hatchway/tls", str(self.place / "tls")) for word in words]

    def variables(self, container: Mapping[str, Any]) -> dict[str, str]:
        image = re.search(r"HATCHWAY_DATA_DIR=(\S+)", DOCKERFILE.read_text())
        assert image
        found = {"HATCHWAY_DATA_DIR": image[1]}
        for variable in container["env"]:
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            found[variable["name"]] = (
                self.secrets[reference["name"], reference["key"]] if reference else variable["value"]
            )
        found["HATCHWAY_DATA_DIR"] = str(self.place / found["HATCHWAY_DATA_DIR"].lstrip("/"))
        return found

    def get(self, container: Mapping[str, Any], probe: str) -> int:
        """The status that a probe sees; 0 where nobody answers."""
        asked = container[probe]["httpGet"]
        (inside,) = (port["containerPort"] for port in container["ports"] if port["name"] == asked["port"])
        url = f"{asked.get('scheme', 'HTTP').lower()}://127.0.0.1:{self.ports[inside]}{asked['path']}"
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        try:
            with urllib.request.urlopen(url, timeout=60, context=anybody) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    place = tmp_path_factory.mktemp("cluster")
    (place / "tls").mkdir()
    names = ["hatchway.example", "localhost", "127.0.0.1"]
    ca = create_ca("CA of the cluster", names, datetime.now(UTC))
    pair = issue_server_certificate(ca, names, datetime.now(UTC))
    (place / "ca.pem").write_bytes(ca.certificate)
    (place / "tls/tls.crt").write_bytes(pair.certificate)
    (place / "tls/tls.key").write_bytes(pair.key)
    for name in ("master-key", "gateway-key"):
        new_key(place / name)
    with postgresql_server(programs) as database:
        url = database.new_database()
        secrets = {
            ("hatchway-store", "control-url"): url,
            ("hatchway-store", "gateway-url"): url,
            **{("hatchway-keys", name): (place / name).read_text() for name in ("master-key", "gateway-key")},
        }
        yield Cluster(place, secrets, {inside: free_port() for inside in (443, 8443, 9464)})


def test_what_it_starts_serves(cluster: Cluster) -> None:
    values = {"account": {"id": ACCOUNT, **LEAST["account"]}}
    planes = {pod["containers"][0]["name"]: pod for pod in pods(rendered(values))}
    control, gateway = (planes[name]["containers"][0] for name in ("control", "gateway"))
    (init,) = planes["control"]["initContainers"]
    with ExitStack() as down:
        # Two control planes of one store begin at once.
        with ThreadPoolExecutor() as two:
            begun = [two.submit(hatchway, *init["args"], variables=cluster.variables(init)) for _ in range(2)]
        both = [each.result() for each in begun]
        assert [each.returncode for each in both] == [0, 0], both
        said = [each.stdout for each in both]
        assert [bool(re.search("is made", text)) for text in said].count(True) == 1, said
        assert not any("secret" in text for text in said)

        running = {}
        for container in (control, gateway):
            name = container["name"]
            log = cluster.place / f"{name}.log"
            assert cluster.get(container, "readinessProbe") == 0
            command, variables = cluster.command(container), environment(cluster.variables(container))
            running[name] = start(down, log, command, variables, contained=True)
            assert running[name].line().startswith("ready "), log.read_text()
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert cluster.get(container, probe) == 200

        # What the notes say, within the container.
        fleet = cluster.place / "fleet.yaml"
        fleet.write_text(FLEET)
        key: dict[str, str] = {}
        for words in (
            ["access-key", "create", "--root", "--json"],
            ["apply", str(fleet)],
            ["access-key", "create", "alice", "--json"],
        ):
            done = hatchway(*words, variables=cluster.variables(control))
            assert done.returncode == 0, done.stderr
            key = json.loads(done.stdout) if "--json" in words else key
        done = through_a_tunnel(
            *("--gateway-address", "127.0.0.1", "--gateway-port", str(cluster.ports[443])),
            *("--endpoint-url", f"https://127.0.0.1:{cluster.ports[8443]}"),
            *("--ca-bundle", str(cluster.place / "ca.pem")),
            key=(key["access_key_id"], key["secret_access_key"]),
        )
        assert done.stdout == ANSWER, done.stderr

        assert not list(cluster.place.rglob("audit.jsonl"))
        assert [server.stop() for server in running.values()] == [0, 0]
