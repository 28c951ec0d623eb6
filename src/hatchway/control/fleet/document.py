"""A fleet file: from its bytes to a `Fleet`, or to everything that is wrong with it."""

import hashlib
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, Final

from hatchway.control.fleet import values
from hatchway.control.fleet.declarations import Fleet
from hatchway.control.fleet.documents import DocumentReader, ReadFile, files_in, no_files
from hatchway.control.fleet.fields import Fields, items_of, known
from hatchway.control.fleet.identity_sections import IdentitySections, guardrails
from hatchway.control.fleet.network_sections import read_endpoints, read_instances, read_vpcs
from hatchway.control.fleet.problems import BadFleet, Problem, Problems, quoted
from hatchway.control.fleet.resolution import problems_by_itself
from hatchway.control.fleet.text import MAX_BYTES, read_text
from hatchway.domain.account import Quotas
from hatchway.domain.ids import REGION

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
_QUOTA_KEYS: Final = known(*(field.name for field in fields_of(Quotas)))
_quota: Final = values.integer(0, 1_000_000, "a number")
_region: Final = values.text(REGION, "a region such as us-east-1")


def load_fleet(path: Path) -> Fleet:
    """The fleet that a file declares; its policies' paths are relative to the file.

    Raises:
        BadFleet: the file cannot be read, or something in it is wrong; it holds every problem.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadFleet([Problem(quoted(str(path))[1:-1], f"cannot be read: {error.strerror}")]) from None
    return parse_fleet(content, files_in(path.parent))


def parse_fleet(content: bytes, read_file: ReadFile = no_files) -> Fleet:
    """The fleet that a file's bytes declare. `read_file` gives the policies that it names by a path.

    All that the file says by itself is checked here. Whether it fits an account (references to what is there
    already, addresses that are taken) is for the plan.

    Raises:
        BadFleet: something in it is wrong; it holds every problem.
    """
    fleet, problems = _read(content, read_file)
    problems.found += problems_by_itself(fleet)
    problems.raise_any()
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
    return fleet, problems


def _quotas(value: Any, place: str, problems: Problems) -> Quotas | None:
    fields = Fields(value, place, _QUOTA_KEYS, problems)
    given = {key: fields.take(key, _quota) for key, _, _ in items_of(value, place, Problems())}
    if not fields.valid:
        return None
    return Quotas(**{key: number for key, number in given.items() if number is not None})
