"""`hatchway master-key` and `gateway-key`: another one in the place of the one that seals, in steps."""

from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from hatchway.administration.key_steps import Step
    from hatchway.administration.master_key import Rotated


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Rotate the key that seals the secrets in the store.", rich_markup_mode=None)
    group.command("rotate")(rotate)
    group.command("mend-check")(mend_check)
    app.add_typer(group, name="master-key")
    gateways = typer.Typer(
        help="Rotate the key that seals the gateways' signing keys.", rich_markup_mode=None
    )
    gateways.command("rotate")(rotate_gateway_key)
    gateways.command("create")(create_gateway_key)
    app.add_typer(gateways, name="gateway-key")


def rotate(
    *,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="add|use|drop", help="Do only one step, for several control planes: see docs/rotation.md."
        ),
    ] = None,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Replace the master key while the server runs.

    master.key gets a new key, every secret in the store is sealed again, and the old key is deleted. Access
    keys, sessions and tunnels stay valid. Make a backup afterwards: earlier backups need the old key, which
    they contain.

    \b
    Example:
      hatchway master-key rotate --data-dir /var/lib/hatchway
    """
    from hatchway.administration import master_key
    from hatchway.administration.key_steps import Step
    from hatchway.installation.installation import open_installation

    steps = tuple(Step) if step is None else (_step(step),)
    with open_installation(data_directory(data_dir), store_url) as installation:
        rotated = master_key.rotate(installation, *steps)
    if json:
        import json as json_format

        answer = {"master_keys": rotated.key_ids, "resealed": rotated.resealed, "unopened": rotated.unopened}
        say(json_format.dumps(answer))
    else:
        _tell(rotated)


def rotate_gateway_key(
    *,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="add|use|drop", help="Do only one step, for several machines: see docs/scaling.md."
        ),
    ] = None,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Replace the gateway key while servers run.

    gateway.key gets a new key, the control plane seals all signing keys again, and the old key is deleted.
    Access keys, sessions and tunnels stay valid.

    \b
    Example:
      hatchway gateway-key rotate --data-dir /var/lib/hatchway
    """
    from hatchway.administration import gateway_key
    from hatchway.administration.key_steps import Step
    from hatchway.installation.installation import open_installation

    steps = tuple(Step) if step is None else (_step(step),)
    with open_installation(data_directory(data_dir), store_url) as installation:
        key_ids = gateway_key.rotate(installation, *steps)
    if json:
        import json as json_format

        say(json_format.dumps({"gateway_keys": key_ids}))
        return
    seals, *other = key_ids
    say(
        f"Gateway key {seals} encrypts signing keys"
        + (f"; {other[0]} can also decrypt them" if other else "")
    )


def create_gateway_key(*, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """Create a new gateway key if every copy of the old one is lost.

    Then start the control plane: it seals all signing keys again. Joined machines get the key within a
    minute; a gateway to which you copied the key by hand refuses every tunnel until it has the new one.

    \b
    Example:
      hatchway gateway-key create --data-dir /var/lib/hatchway
    """
    from hatchway.administration import gateway_key
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        key_id = gateway_key.create(installation)
    say(f"Gateway key {key_id} is created: start or restart the control plane")


def mend_check(*, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """Repair the store's check value of its master key.

    Every server and command refuses a master key that does not open the check value. If the key opens most
    secrets nevertheless, the check value was altered, and is replaced. Otherwise nothing is changed.

    \b
    Example:
      hatchway master-key mend-check --data-dir /var/lib/hatchway
    """
    from hatchway.administration import key_check
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url, checked=False) as installation:
        mended = key_check.mend_check(installation)
    opened = f"the master key opens {mended.opened} of {mended.number} secrets"
    say(
        f"The check value was repaired: {opened}" if mended.changed else f"The check value is right: {opened}"
    )


def _step(text: str) -> "Step":
    from hatchway.administration.key_steps import Step

    try:
        return Step(text)
    except ValueError:
        raise BadUsage(f"--step {text!r} is not add, use or drop") from None


def _tell(rotated: "Rotated") -> None:
    seals, *other = rotated.key_ids
    also = f"; {other[0]} can also decrypt them" if other else ""
    say(f"Master key {seals} encrypts the store's secrets{also}. Encrypted again: {rotated.resealed}")
    if rotated.unopened:
        say(
            f"{rotated.unopened} of them were altered, so neither key can decrypt them: they stay as they are"
        )
