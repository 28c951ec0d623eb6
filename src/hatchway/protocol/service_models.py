"""Service models: botocore's, and our own for the service `hatchway`.

Nothing is read from the user's home or from the environment, as botocore's default search path would.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader
from botocore.model import ServiceModel

SERVICES: Final = frozenset({"cloudtrail", "ec2", "ec2-instance-connect", "hatchway", "iam", "sts"})
OWN_MODELS: Final = Path(__file__).parent / "models"
"""Laid out as botocore's own: `<service>/<api version>/service-2.json`."""


_OPEN: Final = {"ec2": ("InstanceType",)}
"""Shapes by service of which AWS's values are not all that there are: hosts here are not of AWS's kinds."""


class UnknownServiceError(LookupError):
    """There is no such service here."""


def load_model(name: str) -> ServiceModel:
    """The newest model of a service.

    Raises:
        UnknownServiceError: none of `SERVICES`, or without a model.
    """
    if name not in SERVICES:
        raise UnknownServiceError(name)
    loader = Loader(
        extra_search_paths=[str(OWN_MODELS), Loader.BUILTIN_DATA_PATH],
        include_default_search_paths=False,
        include_default_extras=False,
    )
    try:
        version = loader.determine_latest_version(name, "service-2")
    except DataNotFoundError:
        raise UnknownServiceError(name) from None
    data = loader.load_data(f"{name}/{version}/service-2")
    for shape in _OPEN.get(name, ()):
        del data["shapes"][shape]["enum"]
    return ServiceModel(data, name)
