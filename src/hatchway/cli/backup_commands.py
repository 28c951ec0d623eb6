"""Commands that keep an installation: a backup of it, and the way back."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory, given_path
from hatchway.cli.printable import say


def register(app: typer.Typer) -> None:
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The directory to write to, empty or not existing yet.", parser=given_path
        ),
    ],
    *,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Back up the installation while it runs.

    DIR gets a consistent copy of the store, every key and the CA, and is verified before the command reports
    success. Whoever has DIR has everything that the server has: encrypt it before it leaves the machine.
    With PostgreSQL only the keys are copied; dump the database with pg_dump.

    \b
    Example:
      hatchway backup /var/backups/hatchway/monday --data-dir /var/lib/hatchway
    """
    from datetime import UTC, datetime

    from hatchway.installation.backup import make_backup

    target = directory.expanduser().absolute()
    made = make_backup(data_directory(data_dir), store_url, target, datetime.now(UTC))
    if json:
        import json as json_format

        answer = {"directory": str(target), **made.backup.to_json(), "not_in_it": list(made.notes)}
        say(json_format.dumps(answer))
    else:
        about = made.backup
        say(
            f"Backup of account {about.account} is in {target}",
            f"Made by Hatchway {about.version} with store schema {about.schema}, and verified:",
        )
        for name, content in about.files.items():
            say(f"  {name:<12} {content.size:>12,} bytes")
        for note in made.notes:
            say(f"Not included: {note}")
        say("Whoever has it can act as the server: keep it encrypted, where only you can read it")
    if made.warning is not None:
        say(f"hatchway: {made.warning}", err=True)


def restore(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory made by 'hatchway backup'.", parser=given_path)
    ],
    *,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Restore the installation from a backup.

    The data directory must be empty or not exist yet, and the store must not have a newer schema. The whole
    backup is verified before anything is written. Run as root, it gives the files to the directory's owner,
    or, if it does not exist yet, to the user who owned them.

    \b
    Example:
      hatchway restore /var/backups/hatchway/monday --data-dir /var/lib/hatchway
    """
    from datetime import UTC, datetime

    from hatchway.installation.restore import restore_backup

    data = data_directory(data_dir)
    source = directory.expanduser().absolute()
    about, owner = restore_backup(source, data, store_url, datetime.now(UTC))
    if json:
        import json as json_format

        answer = {"account": about.account, "made_at": about.to_json()["made_at"], "owner": owner}
        say(json_format.dumps({"data_directory": str(data.path), **answer}))
        return
    moment = f"{about.made_at:%Y-%m-%d %H:%M:%S} UTC"
    say(
        f"Account {about.account} is restored in {data.path}, as of {moment}",
        "Everything done after that is undone: keys deactivated or deleted since then are valid again",
        f"The files belong to {owner}",
    )
    if about.owner != owner:
        command = shlex.join(["chown", "-R", f"{about.owner}:", str(data.path)])
        say(f"They used to belong to {about.owner}. To have that user run the server: {command}")
    say(f"Next: hatchway serve --data-dir {shlex.quote(str(data.path))}")
