"""The fleet file as a JSON Schema (draft 7), for editors: made of the tables by which it is read.

It knows keys, types, patterns and bounds. What takes more than one value to tell (references, ranges that
overlap, the policy language) is for `check`.
"""

from typing import Any

from hatchway.fleet.parsing import FLEET


def fleet_schema() -> dict[str, Any]:
    """The schema as plain values that JSON holds."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Hatchway fleet file",
        "description": "Networks, hosts, endpoints and identities. `hatchway apply` makes the account be so.",
        **FLEET.schema,
    }
