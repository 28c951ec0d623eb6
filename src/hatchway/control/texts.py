"""The rule of `hatchway.domain.text`, applied to what callers send."""

from collections.abc import Iterator, Mapping
from typing import Any

from hatchway.control.services import DIALECTS
from hatchway.domain.text import text_problem
from hatchway.protocol import ServiceError


def check_texts(service: str, parameters: Mapping[str, Any]) -> None:
    """Refuses parameters that contain a text which the rule forbids. Names and tags must also be one line.

    Raises:
        ServiceError: in the words of the service.
    """
    for place, text in _texts("", parameters):
        problem = text_problem(text)
        if problem is not None:
            raise ServiceError(DIALECTS[service].invalid, f"The value of {place} {problem}.")


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield place, value
        case Mapping():
            for key, item in value.items():
                inside = f"{place}.{key}" if place else str(key)
                yield inside, key
                yield from _texts(inside, item)
        case list():
            for number, item in enumerate(value, 1):
                yield from _texts(f"{place}.{number}", item)
