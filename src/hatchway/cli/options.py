"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from hatchway.cli.errors import BadUsage
from hatchway.settings import DataDirectory

DATA_DIR_VARIABLE = "HATCHWAY_DATA_DIR"
STORE_URL_VARIABLE = "HATCHWAY_STORE_URL"

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", envvar=DATA_DIR_VARIABLE, help="The server's data directory."),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store-url",
        metavar="URL",
        envvar=STORE_URL_VARIABLE,
        help="A PostgreSQL store, such as postgresql+psycopg://user:password@host/name, in place of the"
        " embedded SQLite store.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def data_directory(path: Path | None) -> DataDirectory:
    """
    Raises:
        BadUsage: none was given.
    """
    if path is None:
        raise BadUsage(
            f"no data directory: run this on the server and give --data-dir DIR, or set {DATA_DIR_VARIABLE}"
        )
    return DataDirectory(path.expanduser().absolute())
