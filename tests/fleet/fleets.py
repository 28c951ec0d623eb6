"""Random fleet files that are right, for properties that hold of all of them."""

import json
import string
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

TAG_CHARACTERS = string.ascii_letters + string.digits + " _.:/=+-@éß漢;<~\u202f\U0001f512"
tag_values = st.sampled_from(
    ["", "yes", "null", "~", "1", "0x1f", "2026-11-24", " x ", "a: b", "- a"]
) | st.text(TAG_CHARACTERS, max_size=12)
tag_keys = st.sampled_from(["Name", "env", "on", "1.5", "true"]) | st.text(
    string.ascii_lowercase + " :é", min_size=1, max_size=8
).filter(lambda key: not key.startswith("aws:"))
tags = st.dictionaries(tag_keys, tag_values, max_size=3).filter(
    lambda tags: len({key.lower() for key in tags}) == len(tags)
)
descriptions = st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=12)
names = st.sampled_from(["a", "b", "web-1", "yes", "10", "null", "c d"])
identity_names = st.sampled_from(["alice", "bob", "on", "1", "x=y,z@w", "null"])


@dataclass(frozen=True)
class Place:
    """A subnet where something may be put, and the security groups that it may be in."""

    vpc: str
    subnet: str
    cidrs: list[str]
    security_groups: list[str]


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A policy: in place, or as text in any layout."""
    policy: dict[str, Any] = {
        "Statement": [
            {
                "Effect": draw(st.sampled_from(["Allow", "Deny"])),
                "Action": draw(st.sampled_from(["*", "ec2:*", "ec2-instance-connect:OpenTunnel"])),
                "Resource": "*",
            }
        ]
    }
    if draw(st.booleans()):
        policy["Version"] = "2012-10-17"
    if draw(st.booleans()):
        policy["Statement"][0]["Sid"] = draw(st.text("abc 漢", min_size=1, max_size=5))
    if draw(st.booleans()):
        policy["Statement"][0]["Condition"] = {
            "NumericEquals": {
                "ec2-instance-connect:remotePort": draw(st.sampled_from([22, "22", 2.5, [1, 2]]))
            }
        }
    layout = draw(st.sampled_from(["in place", "compact", "indented", "tabs", "padded"]))
    if layout == "in place":
        return policy
    if layout == "padded":
        return f" \n {json.dumps(policy, indent=1, ensure_ascii=False)} \n\n"
    indent: Any = {"compact": None, "indented": 2, "tabs": "\t"}[layout]
    return json.dumps(policy, indent=indent, ensure_ascii=draw(st.booleans()))


def maybe(draw: st.DrawFn, target: dict[str, Any], key: str, values: st.SearchStrategy[Any]) -> None:
    if draw(st.booleans()):
        target[key] = draw(values)


@st.composite
def fleets(draw: st.DrawFn) -> dict[str, Any]:
    """A file that can be applied to any account without explicit ids."""
    fleet: dict[str, Any] = {
        "vpcs": {name: draw(vpcs()) for name in draw(st.sets(names, min_size=1, max_size=2))},
        "instances": {},
        "endpoints": {},
    }
    for number, vpc in enumerate(fleet["vpcs"].values()):
        # Their ranges are the same, and one gateway would serve both.
        if number:
            vpc["separate_network"] = True
        maybe(draw, vpc, "gateway_dns_name", st.sampled_from(["gateway.example", "lab-7"]))
    places = [
        Place(
            vpc,
            f"{vpc}/{subnet}",
            body["cidr"] if isinstance(body["cidr"], list) else [body["cidr"]],
            sorted({"default", *content["security_groups"]}),
        )
        for vpc, content in fleet["vpcs"].items()
        for subnet, body in content["subnets"].items()
    ]
    for vpc in fleet["vpcs"].values():
        for subnet in vpc["subnets"].values():
            maybe(draw, subnet, "gateway_dns_name", st.sampled_from(["subnet.example"]))
    if places:
        for number, name in enumerate(sorted(draw(st.sets(names, max_size=4)))):
            fleet["instances"][name] = draw(instances(draw(st.sampled_from(places)), number))
        for name in draw(st.sets(names, max_size=3)):
            fleet["endpoints"][name] = draw(endpoints(draw(st.sampled_from(places))))
            maybe(draw, fleet["endpoints"][name], "gateway_dns_name", st.sampled_from(["{endpoint_id}.own"]))
    fleet.update(draw(identities()))
    maybe(draw, fleet, "quotas", st.fixed_dictionaries({"endpoints_per_vpc": st.integers(0, 9)}))
    maybe(draw, fleet, "end_tunnels_with_credentials", st.booleans())
    maybe(draw, fleet, "account_alias", st.sampled_from(["office", "a1-b"]))
    return fleet


@st.composite
def vpcs(draw: st.DrawFn) -> dict[str, Any]:
    six = draw(st.booleans())
    vpc: dict[str, Any] = {"cidr": ["10.0.0.0/16", "fd00::/56"] if six else "10.0.0.0/16"}
    maybe(draw, vpc, "tags", tags)
    vpc["subnets"] = {}
    for number, name in enumerate(sorted(draw(st.sets(names, max_size=3)))):
        ranges = [f"10.0.{number}.0/24"] + ([f"fd00:0:0:{number}::/64"] if number else ["fd00::/64"]) * six
        vpc["subnets"][name] = {"cidr": ranges if draw(st.booleans()) or six else ranges[0]}
        maybe(draw, vpc["subnets"][name], "tags", tags)
        maybe(draw, vpc["subnets"][name], "availability_zone", st.sampled_from(["us-east-1b", "rack-7"]))
    groups = draw(st.sets(st.sampled_from(["default", "ssh", "yes"])))
    vpc["security_groups"] = {name: draw(security_groups(sorted({*groups, "default"}))) for name in groups}
    return vpc


@st.composite
def security_groups(draw: st.DrawFn, known: list[str]) -> dict[str, Any]:
    group: dict[str, Any] = {}
    peers = st.sampled_from(["10.0.0.0/16", "::/0", *known])
    ports = st.sampled_from([22, "all", "8000-8010", 0])
    for key, peer_key in (("ingress", "source"), ("egress", "destination")):
        rule = st.fixed_dictionaries({"protocol": st.just("tcp"), "ports": ports, peer_key: peers}) | (
            st.fixed_dictionaries({"protocol": st.just("all"), peer_key: peers})
        )
        maybe(
            draw,
            group,
            key,
            st.lists(rule, max_size=3, unique_by=lambda rule: json.dumps(rule, sort_keys=True)),
        )
    maybe(draw, group, "description", descriptions)
    maybe(draw, group, "tags", tags)
    return group


@st.composite
def instances(draw: st.DrawFn, place: Place, number: int) -> dict[str, Any]:
    instance: dict[str, Any] = {"subnet": place.subnet}
    families = draw(st.sets(st.sampled_from(range(len(place.cidrs))), min_size=1))
    if 0 in families:
        instance["private_ip"] = place.cidrs[0].replace(
            ".0/24", f".{number + 1 + draw(st.sampled_from([0, 240]))}"
        )
    if 1 in families:
        instance["ipv6"] = place.cidrs[1].replace("::/64", f"::{number + 1:x}")
    groups = st.sampled_from([f"{place.vpc}/{group}" for group in place.security_groups])
    maybe(draw, instance, "security_groups", st.lists(groups, min_size=1, unique=True))
    maybe(draw, instance, "state", st.sampled_from(["running", "stopped", "terminated"]))
    maybe(draw, instance, "instance_type", st.sampled_from(["t3.micro", "rack.r640"]))
    maybe(draw, instance, "tags", tags)
    return instance


@st.composite
def endpoints(draw: st.DrawFn, place: Place) -> dict[str, Any]:
    endpoint: dict[str, Any] = {"subnet": place.subnet}
    kinds = ["ipv4", "ipv6", "dualstack"] if len(place.cidrs) == 2 else ["ipv4"]
    maybe(draw, endpoint, "ip_address_type", st.sampled_from(kinds))
    if endpoint.get("ip_address_type") == "ipv4":
        maybe(draw, endpoint, "preserve_client_ip", st.booleans())
    maybe(draw, endpoint, "security_groups", st.just([f"{place.vpc}/default"]))
    if not endpoint.get("preserve_client_ip"):
        maybe(draw, endpoint, "proxy_protocol", st.just("v2"))
    maybe(draw, endpoint, "max_tunnels", st.integers(1, 500))
    maybe(draw, endpoint, "tags", tags)
    return endpoint


@st.composite
def identities(draw: st.DrawFn) -> dict[str, Any]:
    policies = {}
    for name in draw(st.sets(identity_names, max_size=3)):
        policies[name] = draw(documents())
        if draw(st.booleans()):
            policies[name] = {
                "document": policies[name],
                "description": draw(descriptions),
                "tags": {"a": "b"},
            }
    some = st.lists(st.sampled_from(sorted(policies)), unique=True) if policies else st.just([])

    def permissions(content: dict[str, Any]) -> dict[str, Any]:
        maybe(draw, content, "policies", some)
        maybe(draw, content, "inline", st.dictionaries(identity_names, documents(), max_size=2))
        maybe(draw, content, "path", st.sampled_from(["/", "/teams/", "/a/b/"]))
        return content

    groups = {name: permissions({}) for name in draw(st.sets(identity_names, max_size=2))}
    users = {name: permissions({}) for name in draw(st.sets(identity_names, max_size=3))}
    for user in users.values():
        if groups:
            maybe(draw, user, "groups", st.lists(st.sampled_from(sorted(groups)), unique=True))
        if policies:
            maybe(draw, user, "permissions_boundary", st.sampled_from(sorted(policies)))
        maybe(draw, user, "tags", st.just({"team": "web"}))
    trust = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "sts:AssumeRole",
        }
    }
    roles = {name: permissions({"trust": trust}) for name in draw(st.sets(identity_names, max_size=2))}
    for role in roles.values():
        maybe(draw, role, "max_session_duration", st.integers(3600, 43200))
        maybe(draw, role, "description", descriptions)
    return {
        "policies": policies,
        "groups": groups,
        "users": users,
        "roles": roles,
        **({"guardrails": draw(some)} if draw(st.booleans()) else {}),
    }
