"""Listings of what is no row of the store: few things, made for each call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hatchway.control.ec2.documented_filters import DOCUMENTED
from hatchway.control.ec2.filters import check_limits
from hatchway.control.ec2.wildcards import read_values
from hatchway.control.operations import Call
from hatchway.protocol import ServiceError

Reading = Callable[[Any], Iterable[str]]
_LONGEST_ECHO = 128


def choose(
    call: Call,
    action: str,
    results: Sequence[dict[str, Any]],
    fields: Mapping[str, Reading],
    *,
    tagged: bool = False,
) -> list[dict[str, Any]]:
    """Those that all filters of a call match; `fields` says what one looks at, where something can match.

    With `tagged`, filters of tags are known too: in AWS these things may have some.

    Raises:
        ServiceError: EC2 does not know a filter, one has no value, or there is too much of something.
    """
    filters = call.parameters.get("Filters") or ()
    check_limits(filters)
    chosen = list(results)
    for one in filters:
        name, values = one.get("Name") or "", one.get("Values") or ()
        if name not in DOCUMENTED[action] and not (tagged and _is_of_tags(name)):
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' is invalid")
        if not values:
            raise ServiceError("InvalidParameterValue", f"The filter '{name}' has no value")
        wanted = read_values(value or "" for value in values)
        read = fields.get(name)
        chosen = [] if read is None else [one for one in chosen if any(map(wanted.match, read(one)))]
    return chosen


def _is_of_tags(name: str) -> bool:
    return name in {"tag-key", "tag-value"} or name.startswith("tag:")
