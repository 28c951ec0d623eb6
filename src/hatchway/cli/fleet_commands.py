"""Commands about fleet files that need no server and no data directory."""

from pathlib import Path
from typing import Annotated

import typer

from hatchway.cli.ending import errors_are_no_answers
from hatchway.cli.options import Json, Output, OutputFormat
from hatchway.cli.printable import give, say


def register(app: typer.Typer) -> None:
    fleet = typer.Typer(help="Check fleet files, without a server.", rich_markup_mode=None)
    fleet.command("check")(check)
    fleet.command("schema")(schema)
    app.add_typer(fleet, name="fleet")


@errors_are_no_answers()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Fleet files, YAML or JSON.")],
    *,
    accept_policy_errors: Annotated[
        bool,
        typer.Option(
            "--accept-policy-errors",
            help="Do not fail for policies that, according to lint, cannot work as intended.",
        ),
    ] = False,
    output: Output = OutputFormat.TEXT,
    json: Json = False,
) -> None:
    """Check fleet files for errors.

    Needs neither a server nor a data directory. Exits with 0 if apply would accept each file, as far as that
    can be checked without the account, with 1 if not, with 2 if a file cannot be read.

    \b
    Examples:
      hatchway fleet check fleet.yaml
      hatchway fleet check --output json fleets/*.yaml
    """
    from hatchway.administration.fleet_check import check_files, check_json, check_lines
    from hatchway.cli.progress import working

    with working("Checking"):
        checked = check_files(files)
    if json or output is OutputFormat.JSON:
        import json as json_format

        content = check_json(checked, accept_policy_errors=accept_policy_errors)
        say(json_format.dumps(content))
    else:
        for line in check_lines(checked, accept_policy_errors=accept_policy_errors):
            say(line)
    refused = [
        each for each in checked.files if each.found.refused(accept_policy_errors=accept_policy_errors)
    ]
    raise typer.Exit(1 if refused else 0)


def schema() -> None:
    """Print the JSON Schema of fleet files, for editors.

    \b
    Example:
      hatchway fleet schema > fleet.schema.json
    """
    import json as json_format

    from hatchway.fleet.schema import fleet_schema

    give(json_format.dumps(fleet_schema(), indent=2) + "\n")
