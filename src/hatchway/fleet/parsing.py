"""A fleet file: from its bytes to a `Fleet`, or to everything that is wrong with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, Final

from hatchway.domain.account import ALIAS, Quotas
from hatchway.domain.ids import REGION
from hatchway.domain.network import DEFAULT_GROUP_NAME
from hatchway.domain.tunnel_protocol import LONGEST_DURATION, USUAL_DURATION
from hatchway.fleet import identity_sections, network_sections, values
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.fields import Key, Reader, Table, items_of
from hatchway.fleet.policy_documents import ReadFile, Reading, no_files
from hatchway.fleet.problems import BadFleet, Problems
from hatchway.fleet.resolution import problems_by_itself
from hatchway.fleet.text import MAX_VALUES, read_text

_ABOUT_QUOTAS: Final = {
    "endpoints_per_account": "Endpoints that users may create through the API.",
    "endpoints_per_vpc": "Endpoints that users may create in each VPC through the API.",
    "endpoints_per_subnet": "Endpoints that users may create in each subnet through the API.",
    "tunnels_per_endpoint": "Tunnels that an endpoint may have open at once.",
    "tunnels_per_principal": "Tunnels that a user may have open at once; 0 means no limit.",
    "max_tunnel_duration": "The longest that a client may ask a tunnel to last, in seconds.",
    "vpcs_per_account": "VPCs that users may create through the API.",
    "subnets_per_vpc": "Subnets that users may create in each VPC through the API.",
    "security_groups_per_account": "Security groups that users may create through the API.",
    "rules_per_security_group": "Rules that users may give a group through the API, in each direction.",
    "users_per_account": "Users that the account may have through the API.",
}


def _declared_quotas(**given: int | None) -> Quotas:
    return Quotas(**{name: number for name, number in given.items() if number is not None})


_COUNT: Final = values.integer(0, 1_000_000, "a number")
_OF_THEIR_OWN: Final = {
    "max_tunnel_duration": values.integer(USUAL_DURATION, LONGEST_DURATION, "a number of seconds")
}

QUOTAS: Final = Table(
    declares=_declared_quotas,
    keys={
        quota.name: Key(
            read=_OF_THEIR_OWN.get(quota.name, _COUNT),
            about=_ABOUT_QUOTAS[quota.name],
        )
        for quota in fields_of(Quotas)
    },
)


def _section(read: Reader[Any], about: str) -> Key:
    return Key(read=read, about=about, default=(), nullable=True)


FLEET: Final = Table(
    declares=Fleet,
    keys={
        "account": Key(
            read=values.account_id, about="Refused on a server of another account. By default for any."
        ),
        "account_alias": Key(
            read=values.text(ALIAS, "an alias of 3 to 63 small letters, digits and single hyphens"),
            about="Another name for the account. Without the key it is left alone.",
        ),
        "region": Key(
            read=values.text(REGION, "a region such as us-east-1"),
            about="Refused on a server of another region. By default for any.",
        ),
        "gateway_dns_name": Key(
            read=network_sections.dns_name,
            about="Where clients find the gateways, unless a VPC, a subnet or an endpoint says otherwise;"
            " `{endpoint_id}` stands for an endpoint's id. Without the key it is left alone.",
        ),
        "quotas": Key(
            read=Reader(QUOTAS.read, QUOTAS.schema),
            about="How much users may create and use. Without the key they are left alone.",
        ),
        "end_tunnels_with_credentials": Key(
            read=values.boolean,
            about="Whether a tunnel ends when the temporary credentials expire that it was opened with."
            " Without the key it is left alone; an account begins with false.",
        ),
        "vpcs": _section(network_sections.vpcs, "Networks, with their subnets and security groups."),
        "instances": _section(network_sections.instances, "Hosts."),
        "endpoints": _section(network_sections.endpoints, "Instance Connect Endpoints."),
        "policies": _section(identity_sections.policies, "Managed policies."),
        "groups": _section(identity_sections.groups, "Groups of users."),
        "users": _section(identity_sections.users, "Users."),
        "roles": _section(identity_sections.roles, "Roles."),
        "guardrails": Key(
            read=identity_sections.guardrails,
            about="Managed policies that bound the whole account, its root user too. Without the key they are"
            " left alone.",
        ),
    },
)
_NAMED: Final = ("vpcs", "instances", "endpoints", "policies", "groups", "users", "roles")


def parse_fleet(content: bytes, read_file: ReadFile = no_files, *, most_values: int = MAX_VALUES) -> Fleet:
    """The fleet that a file's bytes declare. `read_file` gives the policies that it names by a path.

    It has at most `most_values` values, as `read_text` counts them.

    All that the file says by itself is checked here. Whether it fits an account (references to what is there
    already, addresses that are taken) is for the plan.

    Raises:
        BadFleet: something in it is wrong; it holds every problem.
    """
    fleet, problems = _read(content, read_file, most_values)
    problems.found += problems_by_itself(fleet)
    if problems.found:
        raise BadFleet(problems.found, fleet)
    return fleet


def _read(content: bytes, read_file: ReadFile, most_values: int) -> tuple[Fleet, Problems]:
    """What could be read of a fleet file, and what is wrong with it."""
    reading = Reading(read_file)
    entry = FLEET.entry(read_text(content, most_values=most_values), "", reading)
    fleet = Fleet(
        digest=hashlib.sha256(content).hexdigest(), documents=tuple(reading.documents), **entry.values
    )
    return (replace(fleet, unread=_names(entry.content)) if reading.found else fleet), reading


def _names(content: Mapping[str, Any]) -> frozenset[str]:
    """By what other things of the file may call those that it declares, well or not."""
    names: set[str] = set()
    quiet = Problems()
    for section in _NAMED:
        for name, value, _ in items_of(content.get(section), section, quiet):
            names |= {name, *_id_of(value)}
            if section != "vpcs" or not isinstance(value, dict):
                continue
            names.add(f"{name}/{DEFAULT_GROUP_NAME}")
            for inner in ("subnets", "security_groups"):
                for within, part, _ in items_of(value.get(inner), inner, quiet):
                    names |= {within, f"{name}/{within}", *_id_of(part)}
    return frozenset(names)


def _id_of(value: Any) -> tuple[str, ...]:
    id_ = value.get("id") if isinstance(value, dict) else None
    return (id_,) if isinstance(id_, str) else ()
