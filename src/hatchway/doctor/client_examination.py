"""All checks of a machine with nothing but a profile, in the order in which somebody would look.

It needs nothing of a server's: whoever has installed the client alone has it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from hatchway.client.api.profile import Profile, api_errors
from hatchway.client.connection.proxy import CHECK, proxy_for
from hatchway.client.errors import ClientError
from hatchway.doctor.addresses import HTTPS_PORT, check_api, check_gateway, check_name
from hatchway.doctor.findings import Finding, error, ok, warning
from hatchway.doctor.machine import check_clock


def examine_client(profile: Profile) -> Iterator[Finding]:
    """What somebody with a profile needs for a tunnel from this machine."""
    yield from check_clock()
    now = datetime.now(UTC)
    try:
        url, ca_bundle = urlsplit(profile.endpoint_url("ec2")), profile.ca_bundle
        key = profile.credentials().access_key_id
    except ClientError as problem:
        yield error("profile", str(problem), "docs/connecting.md explains what a profile needs")
        return
    yield ok("profile", f"access key {key}, region {profile.region}, API {url.geturl()}")
    ca_certificate = None if ca_bundle is None else Path(ca_bundle)
    host, port = url.hostname or "", url.port or HTTPS_PORT
    try:
        proxy = proxy_for(host, port)
    except ClientError as problem:
        yield error("proxy", str(problem), CHECK)
        return
    yield from _told_of(proxy, host)
    api = check_api(host, port, ca_certificate, now, proxy)
    yield from api.findings
    try:
        with api_errors("GetCallerIdentity"):
            caller = profile.api("sts").get_caller_identity()["Arn"]
        yield ok("credentials", f"the API knows you as {caller}")
        with api_errors("DescribeInstanceConnectEndpoints"):
            described = profile.api("ec2").describe_instance_connect_endpoints()["InstanceConnectEndpoints"]
    except ClientError as problem:
        yield error("credentials", str(problem), "docs/connecting.md explains what each of these means")
        return
    names = sorted({str(endpoint["DnsName"]) for endpoint in described})
    if not names:
        yield warning(
            "endpoints",
            "you can see none, so you can reach no host",
            "ask for one, or for a policy that lets you see it",
        )
    for name in names:
        proxy = proxy_for(name, HTTPS_PORT if api.gateway_port is None else api.gateway_port)
        yield from check_name(name) if proxy is None else _told_of(proxy, name)
        yield from check_gateway(name, api.gateway_port, ca_certificate, now, proxy)


def _told_of(proxy: str | None, host: str) -> Iterator[Finding]:
    if proxy is not None:
        at = urlsplit(proxy)
        yield ok("proxy", f"{host} is reached through {at.scheme}://{at.hostname}:{at.port}")
