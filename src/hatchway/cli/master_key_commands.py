"""`hatchway master-key`: another one in the place of the one that seals the store's secrets."""

from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from hatchway.administration.master_key import Rotated, Step


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The key that seals the secrets in the store.", rich_markup_mode=None)
    group.command("rotate")(rotate)
    app.add_typer(group, name="master-key")


def rotate(
    *,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="add|use|drop", help="One step alone, for several control planes: see docs/rotation.md."
        ),
    ] = None,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Seal the store's secrets under another master key, while the server runs.

    master.key gets a new key, every secret in the store is sealed anew, and the former key goes. Access keys,
    sessions and tunnels stay as they are. Make a backup afterwards: those from before need the former key,
    which they hold.

    \b
    Example:
      hatchway master-key rotate --data-dir /var/lib/hatchway
    """
    from hatchway.administration import master_key
    from hatchway.installation.installation import open_installation

    steps = tuple(master_key.Step) if step is None else (_step(step),)
    with open_installation(data_directory(data_dir), store_url) as installation:
        rotated = master_key.rotate(installation, *steps)
    if json:
        import json as json_format

        answer = {"master_keys": rotated.key_ids, "resealed": rotated.resealed, "unopened": rotated.unopened}
        typer.echo(json_format.dumps(answer))
    else:
        _tell(rotated)


def _step(text: str) -> "Step":
    from hatchway.administration.master_key import Step

    try:
        return Step(text)
    except ValueError:
        raise BadUsage(f"--step {text!r} is none of add, use and drop") from None


def _tell(rotated: "Rotated") -> None:
    seals, *other = rotated.key_ids
    also = f"; {other[0]} opens them too" if other else ""
    typer.echo(f"Master key {seals} seals the store's secrets{also}. Sealed anew: {rotated.resealed}")
    if rotated.unopened:
        typer.echo(f"Neither key opens {rotated.unopened} of them, which had been altered: left as they are")
