"""Types of instances: what whoever registers a host calls its kind. Of a type only the name is known."""

from typing import Final

from sqlalchemy import func, select

from hatchway.access.authorization import Check
from hatchway.control.ec2.paging import next_token, position_of
from hatchway.control.ec2.small_listing import choose
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Instance
from hatchway.protocol import ServiceError
from hatchway.store.tables import instances

UNNAMED_TYPE: Final = "hatchway.host"
"""Of a host of which nobody has said what it is."""
_ACTION: Final = "DescribeInstanceTypes"
_LARGEST_PAGE: Final = 100
_MOST_NAMES: Final = 100
_COLUMN: Final = instances.c.instance_type


def type_of(instance: Instance) -> str:
    return instance.instance_type or UNNAMED_TYPE


# There is one region, in which every type that there is can be.
@operation("ec2", _ACTION, reads_only=True, unsupported={"IncludeUnsupportedInRegion": (True, False)})
def describe_instance_types(call: Call) -> Result:
    """The types that instances have, and that of those which have none of their own."""
    call.authorize(Check(f"ec2:{_ACTION}"))
    parameters = call.parameters
    asked = sorted(set(parameters.get("InstanceTypes") or ()))
    size = parameters.get("MaxResults") or _LARGEST_PAGE
    after = position_of(parameters, _ACTION)
    if len(asked) > _MOST_NAMES:
        raise ServiceError("InvalidParameterValue", f"A request has at most {_MOST_NAMES} instance types.")
    if asked and parameters.get("MaxResults") is not None:
        raise ServiceError(
            "InvalidParameterCombination",
            "The parameter InstanceTypes cannot be used with the parameter MaxResults",
        )
    if asked:
        names = [name for name in asked if _is_there(call, name)]
        missing = [name for name in asked if name not in names]
        if missing:
            raise ServiceError(
                "InvalidInstanceType",
                f"The following supplied instance types do not exist: [{', '.join(missing)[:255]}]",
            )
    else:
        names = _names_after(call, after, size + 1)
    token = next_token(_ACTION, names[size - 1]) if len(names) > size else None
    results = [
        {"InstanceType": name, "BurstablePerformanceSupported": False, "HibernationSupported": False}
        for name in names[:size]
    ]
    return {"InstanceTypes": choose(call, _ACTION, results, _FIELDS), "NextToken": token}


_FIELDS: Final = {
    "burstable-performance-supported": lambda _: ["false"],
    "hibernation-supported": lambda _: ["false"],
    "instance-type": lambda one: [one["InstanceType"]],
}


def _is_there(call: Call, name: str) -> bool:
    return name == UNNAMED_TYPE or bool(call.tx.instances.find(instance_type=name, limit=1))


def _names_after(call: Call, after: str, most: int) -> list[str]:
    """The first names behind one, in order. Each is looked up by itself: a type may have many hosts."""
    names: list[str] = []
    last = after
    while len(names) < most:
        found = call.tx.instances.scalar(select(func.min(_COLUMN)).where(last < _COLUMN))
        candidates = [name for name in (found, UNNAMED_TYPE) if name is not None and name > last]
        if not candidates:
            break
        last = min(candidates)
        names.append(last)
    return names
