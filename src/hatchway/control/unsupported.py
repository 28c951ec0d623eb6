"""Parameters that an operation of AWS has and Hatchway does nothing with: refused by name, never ignored.

What an operation cannot honour it names where it is registered, by the parameter's place in the model, with
the values that mean what Hatchway does anyway: those are taken.

    UNSUPPORTED = {"InstanceTenancy": ("default",), "Ipv4IpamPoolId": ()}

    @operation("ec2", "CreateVpc", reads_only=False, unsupported=UNSUPPORTED)

A place is the names of members, joined by dots; of a list it is each item's. `tests/control/test_models.py`
holds that each member of every operation's input is either read or named so.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hatchway.control.services import DIALECTS
from hatchway.protocol import ServiceError

Unsupported = Mapping[str, tuple[Any, ...]]
"""By the place of a parameter, the values of it that change nothing."""

_CODES: Final = {"ec2": "UnsupportedOperation"}


def check_supported(service: str, parameters: Mapping[str, Any], unsupported: Unsupported) -> None:
    """Refuses what an operation does not support.

    Raises:
        ServiceError: in the words of the service; it names the parameter.
    """
    for place, harmless in unsupported.items():
        for value in _values(parameters, place.split(".")):
            if value not in harmless:
                only = f": only {' or '.join(map(_written, harmless))} is" if harmless else ""
                raise ServiceError(
                    _CODES.get(service, DIALECTS[service].invalid),
                    f"The parameter {place} is not supported by Hatchway{only}.",
                )


def _values(value: Any, names: list[str]) -> Iterator[Any]:
    """What stands at a place: nothing, one value, or one of each item of a list."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, names)
    elif not names:
        yield value
    elif isinstance(value, Mapping) and names[0] in value:
        yield from _values(value[names[0]], names[1:])


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
