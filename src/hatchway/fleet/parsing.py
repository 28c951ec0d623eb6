"""A fleet file: from its bytes to a `Fleet`, or to everything that is wrong with it."""

import hashlib
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, Final

from hatchway.domain.account import Quotas
from hatchway.domain.ids import REGION
from hatchway.domain.network import DEFAULT_GROUP_NAME
from hatchway.fleet import values
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.fields import Fields, items_of, known
from hatchway.fleet.identity_sections import IdentitySections, guardrails
from hatchway.fleet.network_sections import read_endpoints, read_instances, read_vpcs
from hatchway.fleet.policy_documents import DocumentReader, ReadFile, no_files
from hatchway.fleet.problems import BadFleet, Problems
from hatchway.fleet.resolution import problems_by_itself
from hatchway.fleet.text import read_text

KEYS: Final = known(
    "account",
    "region",
    "quotas",
    "vpcs",
    "instances",
    "endpoints",
    "policies",
    "groups",
    "users",
    "roles",
    "guardrails",
)
_NAMED: Final = ("vpcs", "instances", "endpoints", "policies", "groups", "users", "roles")
_QUOTA_KEYS: Final = known(*(field.name for field in fields_of(Quotas)))
_quota: Final = values.integer(0, 1_000_000, "a number")
_region: Final = values.text(REGION, "a region such as us-east-1")


def parse_fleet(content: bytes, read_file: ReadFile = no_files) -> Fleet:
    """The fleet that a file's bytes declare. `read_file` gives the policies that it names by a path.

    All that the file says by itself is checked here. Whether it fits an account (references to what is there
    already, addresses that are taken) is for the plan.

    Raises:
        BadFleet: something in it is wrong; it holds every problem.
    """
    fleet, problems = _read(content, read_file)
    problems.found += problems_by_itself(fleet)
    if problems.found:
        raise BadFleet(problems.found, fleet)
    return fleet


def _read(content: bytes, read_file: ReadFile) -> tuple[Fleet, Problems]:
    """What could be read of a fleet file, and what is wrong with it."""
    problems = Problems()
    fields = Fields(read_text(content), "", KEYS, problems)
    reader = DocumentReader(read_file)
    identities = IdentitySections(reader)

    def section(key: str, read: Any) -> Any:
        return read(fields.raw(key), key, problems)

    fleet = Fleet(
        digest=hashlib.sha256(content).hexdigest(),
        account=fields.take("account", values.account_id),
        region=fields.take("region", _region),
        quotas=fields.take("quotas", _quotas),
        vpcs=section("vpcs", read_vpcs),
        instances=section("instances", read_instances),
        endpoints=section("endpoints", read_endpoints),
        policies=section("policies", identities.policies),
        groups=section("groups", identities.groups),
        users=section("users", identities.users),
        roles=section("roles", identities.roles),
        guardrails=fields.take("guardrails", guardrails),
        # After all that reads them.
        documents=tuple(reader.documents),
    )
    return (replace(fleet, unread=_names(fields)) if problems.found else fleet), problems


def _names(fields: Fields) -> frozenset[str]:
    """By what other things of the file may call those that it declares, well or not."""
    names: set[str] = set()
    quiet = Problems()
    for section in _NAMED:
        for name, value, _ in items_of(fields.raw(section), section, quiet):
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


def _quotas(value: Any, place: str, problems: Problems) -> Quotas | None:
    fields = Fields(value, place, _QUOTA_KEYS, problems)
    given = {key: fields.take(key, _quota) for key, _, _ in items_of(value, place, Problems())}
    if not fields.valid:
        return None
    return Quotas(**{key: number for key, number in given.items() if number is not None})
