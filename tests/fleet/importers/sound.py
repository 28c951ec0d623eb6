"""A fleet file that an importer made is one that can be applied."""

from typing import Any

import yaml

from hatchway.fleet import parse_fleet
from hatchway.fleet.importers.hosts import ImportedFile


def sound(imported: ImportedFile) -> dict[str, Any]:
    """Its values, once all that can be told of it by itself is known to be right."""
    fleet = parse_fleet(imported.text.encode())
    assert len(fleet.instances) == imported.instances
    values: dict[str, Any] = yaml.safe_load(imported.text)
    return values
