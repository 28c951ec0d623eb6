"""`hatchway import …`: fleet files made of what else lists hosts. They need no server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.printable import give, say

if TYPE_CHECKING:
    from hatchway.fleet.importers.hosts import ImportedFile

_Vpc = Annotated[str, typer.Option(metavar="NAME", help="The VPC to put the hosts into.")]
_Prefix = Annotated[
    int, typer.Option(min=8, max=32, metavar="N", help="The prefix length to assume for IPv4 subnets.")
]
_Resolve = Annotated[bool, typer.Option("--resolve", help="Resolve the names of hosts that have no address.")]
_To = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this new file instead of standard output."),
]


def register(app: typer.Typer) -> None:
    imports = typer.Typer(
        help="Convert an inventory to a fleet file.",
        rich_markup_mode=None,
    )
    imports.command("ansible")(ansible)
    imports.command("ssh-config")(ssh_config)
    imports.command("csv")(csv)
    imports.command("ec2")(ec2)
    app.add_typer(imports, name="import")


def ansible(
    inventory: Annotated[Path, typer.Argument(metavar="INVENTORY", help="INI, YAML or JSON.")],
    *,
    vpc: _Vpc = "imported",
    prefix: _Prefix = 24,
    resolve: _Resolve = False,
    output: _To = None,
) -> None:
    """Convert an Ansible inventory to a fleet file.

    For an inventory from plugins or scripts, import the output of 'ansible-inventory --list'. Each group of a
    host becomes a tag of the host, group/NAME.

    \b
    Examples:
      hatchway import ansible hosts.ini -o fleet.yaml
      hatchway import ansible inventory.json --vpc office --resolve
    """
    _from_file("ansible", inventory, vpc, prefix, output, resolve=resolve)


def ssh_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A configuration, such as ~/.ssh/config.")],
    *,
    vpc: _Vpc = "imported",
    prefix: _Prefix = 24,
    resolve: _Resolve = False,
    output: _To = None,
) -> None:
    """Convert the hosts of an OpenSSH configuration to a fleet file.

    \b
    Example:
      hatchway import ssh-config ~/.ssh/config --resolve -o fleet.yaml
    """
    _from_file("ssh-config", file, vpc, prefix, output, resolve=resolve)


def csv(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table with a header.")],
    *,
    vpc: _Vpc = "imported",
    prefix: _Prefix = 24,
    resolve: _Resolve = False,
    output: _To = None,
) -> None:
    """Convert a CSV table of hosts to a fleet file.

    Columns: name and address; optionally id, type and state; and tag:KEY for each tag.

    \b
    Example:
      hatchway import csv hosts.csv --vpc office -o fleet.yaml
    """
    _from_file("csv", file, vpc, prefix, output, resolve=resolve)


@with_option_groups
def ec2(
    *,
    vpc: _Vpc = "imported",
    prefix: _Prefix = 24,
    output: _To = None,
    caller: CallerArguments,
) -> None:
    """Convert the instances of an EC2 region to a fleet file.

    Works with anything that implements EC2's DescribeInstances. Uses your own AWS credentials and needs
    ec2:DescribeInstances. With DescribeVpcs, DescribeSubnets and DescribeSecurityGroups the networks are
    EC2's own, otherwise they are guessed from the addresses.

    \b
    Examples:
      hatchway import ec2 --profile production --region eu-west-1 -o fleet.yaml
      hatchway import ec2 --endpoint-url https://cloud.example:8773
    """
    from hatchway.administration.imports import import_from_ec2
    from hatchway.cli.progress import working

    with working("Asking EC2") as tell, client_errors():
        imported = import_from_ec2(caller.options(), vpc=vpc, prefix=prefix, tell=tell)
    _tell(imported, output)


def _from_file(kind: str, file: Path, vpc: str, prefix: int, output: Path | None, *, resolve: bool) -> None:
    from hatchway.administration.imports import import_file
    from hatchway.cli.progress import working

    with working("Reading"):
        imported = import_file(kind, file.expanduser(), vpc=vpc, prefix=prefix, resolve=resolve)
    _tell(imported, output)


def _tell(imported: "ImportedFile", output: Path | None) -> None:
    from hatchway.administration.imports import write_fleet_file

    if output is None:
        give(imported.text)
    else:
        write_fleet_file(output, imported.text)
    for note in imported.notes:
        say(f"hatchway: {note}", err=True)
    count = imported.instances
    found = f"{count} instance{'' if count == 1 else 's'}"
    say(f"hatchway: {found}. Look at the networks, then apply it", err=True)
