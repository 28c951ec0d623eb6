"""Commands that administer the account: through the API, or on the server itself with --data-dir."""

from pathlib import Path
from typing import Annotated

import typer

from hatchway.cli.client_options import CallerArguments, administration_errors
from hatchway.cli.instance_commands import token_commands
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import Json, StoreArguments, data_directory, on_server
from hatchway.cli.printable import give, say

_Instance = Annotated[
    str, typer.Argument(metavar="INSTANCE", help="The instance's id, its beginning, or its name.")
]
_AtOnce = Annotated[
    bool,
    typer.Option(
        "--at-once", help="Invalidate the host's old token now, not when the new one is first used."
    ),
]

_ApiUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The API's URL as seen from the host; by default the URL that you use, or the address"
        " that it listens on.",
    ),
]
_CaCertificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The CA with which the host verifies the API, if not the private CA."),
]

_MOST_FINDINGS = 50


def register(app: typer.Typer) -> None:
    app.command("apply")(apply)
    app.command("export")(export)
    host = typer.Typer(help="Set up hosts, so that sshd asks for pushed keys.", rich_markup_mode=None)
    host.command("enroll")(enroll)
    host.command("script")(script)
    host.command("rotate")(rotate)
    host.add_typer(token_commands(), name="token")
    app.add_typer(host, name="host")
    model = typer.Typer(help="Install the hatchway service for boto3 and the AWS CLI.", rich_markup_mode=None)
    model.command("install")(install_model)
    # Without this, typer would make the one command the group itself.
    model.callback()(_group)
    app.add_typer(model, name="aws-model")


def _group() -> None:
    """A group of commands."""


@with_option_groups
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The fleet file, YAML or JSON.")],
    *,
    plan: Annotated[bool, typer.Option("--plan", "--dry-run", help="Only show what would change.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Also delete what the file does not name.")] = False,
    accept_policy_errors: Annotated[
        bool,
        typer.Option(
            "--accept-policy-errors",
            help="Also apply policies that, according to lint, cannot work as intended.",
        ),
    ] = False,
    json: Json = False,
    store: StoreArguments,
    caller: CallerArguments,
) -> None:
    """Apply a fleet file to the account.

    Calls the API with your credentials and needs the permissions hatchway:PlanFleet and hatchway:ApplyFleet;
    with --data-dir it works on the store, on the server. Either everything is applied or nothing: an invalid
    file changes nothing (exit code 2), and neither does one with a new policy in which lint finds an error.
    Other findings about policies are printed on standard error.

    \b
    Examples:
      hatchway apply fleet.yaml --plan
      hatchway apply fleet.yaml --data-dir /var/lib/hatchway
    """
    from hatchway.cli.plan_output import show_plan
    from hatchway.cli.progress import working

    options = {"prune": prune, "only_plan": plan, "accept_policy_errors": accept_policy_errors}
    notes: list[str] = []
    with working("Reading the file") as tell:
        if on_server(store, caller):
            from hatchway.administration.account import apply_file
            from hatchway.administration.api_urls import gateway_name_notes
            from hatchway.installation.installation import gateway_dns_names, open_installation

            with open_installation(data_directory(store.data_dir), store.store_url) as installation:
                names = gateway_dns_names(installation)
                made = apply_file(installation, file, **options, tell=tell)
                notes += gateway_name_notes(installation, names)
        else:
            from hatchway.administration import remote
            from hatchway.client.api.profile import Profile

            with administration_errors():
                made = remote.apply_file(Profile(caller.options()), file, **options, tell=tell)
    notes += [made.unchecked] if made.unchecked else []
    if json:
        import json as json_format

        from hatchway.fleet import plan_json

        findings = [found.to_json() for found in made.findings]
        say(json_format.dumps({"applied": not plan, **plan_json(made.plan), "findings": findings}))
    else:
        show_plan(made.plan)
        notes += [f"{found.finding.severity}: {found}" for found in made.findings[:_MOST_FINDINGS]]
        if len(made.findings) > _MOST_FINDINGS:
            notes.append(f"and {len(made.findings) - _MOST_FINDINGS} more: see them all with --json")
    for note in notes:
        say(f"hatchway: {note}", err=True)


@with_option_groups
def export(*, store: StoreArguments, caller: CallerArguments) -> None:
    """Print the account as a fleet file.

    Calls the API with your credentials and needs the permission hatchway:ExportFleet; with --data-dir it
    reads the store, on the server.

    \b
    Examples:
      hatchway export > fleet.yaml
      hatchway export --data-dir /var/lib/hatchway > fleet.yaml
    """
    from hatchway.cli.progress import working

    with working("Exporting the account"):
        if on_server(store, caller):
            from hatchway.account.fleet import export_fleet
            from hatchway.installation.installation import open_installation

            with open_installation(data_directory(store.data_dir), store.store_url) as installation:
                text = export_fleet(installation.store)
        else:
            from hatchway.administration import remote
            from hatchway.client.api.profile import Profile

            with administration_errors():
                text = remote.export_file(Profile(caller.options()))
    give(text)


@with_option_groups
def enroll(
    instance: _Instance,
    *,
    at_once: _AtOnce = False,
    json: Json = False,
    store: StoreArguments,
    caller: CallerArguments,
) -> None:
    """Create a host token.

    The token is printed once. The host's old token, if any, is valid until the new one is first used. Calls
    the API with your credentials and needs the permission hatchway:EnrollHost on the instance, which you give
    by its id or its Name tag; with --data-dir it works on the store, on the server.

    \b
    Examples:
      hatchway host enroll web-1
      hatchway host enroll i-0123456789abcdef0 --data-dir /var/lib/hatchway
    """
    if on_server(store, caller):
        from hatchway.administration.account import enroll_host
        from hatchway.installation.installation import open_installation

        with open_installation(data_directory(store.data_dir), store.store_url) as installation:
            enrolled = enroll_host(installation, instance, at_once=at_once)
    else:
        from hatchway.administration import remote
        from hatchway.client.api.profile import Profile

        with administration_errors():
            enrolled = remote.enroll_host(Profile(caller.options()), instance, at_once=at_once)
    if enrolled.note is not None:
        say(f"hatchway: {enrolled.note}", err=True)
    if json:
        import json as json_format

        say(json_format.dumps({"instance_id": enrolled.instance_id, "token": enrolled.token}))
    else:
        say(enrolled.token)


@with_option_groups
def script(
    instance: _Instance,
    *,
    api_url: _ApiUrl = None,
    ca_certificate: _CaCertificate = None,
    at_once: _AtOnce = False,
    store: StoreArguments,
    caller: CallerArguments,
) -> None:
    """Print the script that sets up sshd on a host.

    The script contains a new token of that host: keep it secret. The old token is valid until the script has
    been run. Calls the API with your credentials, like 'host enroll', and the host will trust the CA that
    your profile trusts; with --data-dir it works on the store, on the server.

    \b
    Examples:
      hatchway host script web-1 > web-1.sh
      hatchway host script web-1 --data-dir /var/lib/hatchway > web-1.sh
    """
    _print_script(instance, api_url, ca_certificate, store, caller, at_once=at_once)


@with_option_groups
def rotate(
    instance: _Instance,
    *,
    api_url: _ApiUrl = None,
    ca_certificate: _CaCertificate = None,
    at_once: _AtOnce = False,
    store: StoreArguments,
    caller: CallerArguments,
) -> None:
    """Print a script that gives a host a new token.

    It is the script of 'host script', which can be run any number of times and also brings updates.
    The old token is valid until the host has used the new one, so that no login fails meanwhile.

    \b
    Example:
      hatchway host rotate web-1 | hatchway ssh root@web-1 sh
    """
    _print_script(instance, api_url, ca_certificate, store, caller, at_once=at_once)


def _print_script(
    instance: str,
    api_url: str | None,
    ca_certificate: Path | None,
    store: StoreArguments,
    caller: CallerArguments,
    *,
    at_once: bool,
) -> None:
    if on_server(store, caller):
        from hatchway.administration.account import make_host_script
        from hatchway.installation.installation import open_installation

        with open_installation(data_directory(store.data_dir), store.store_url) as installation:
            made = make_host_script(installation, instance, api_url, ca_certificate, at_once=at_once)
    else:
        from hatchway.administration import remote
        from hatchway.client.api.profile import Profile

        with administration_errors():
            profile = Profile(caller.options())
            made = remote.make_host_script(profile, instance, api_url, ca_certificate, at_once=at_once)
    for note in made.notes:
        say(f"hatchway: {note}", err=True)
    give(made.script)


def install_model(
    *,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove it again.")] = False,
) -> None:
    """Install the model of the hatchway service for boto3 and the AWS CLI.

    It is written to ~/.aws/models. After that, 'aws hatchway list-tunnels' and boto3.client("hatchway") work
    with a profile for Hatchway's API.

    \b
    Examples:
      hatchway aws-model install
      hatchway aws-model install --uninstall
    """
    from hatchway.client.setup import aws_model
    from hatchway.errors import CommandFailed

    try:
        home = Path.home()
    except RuntimeError:
        raise CommandFailed("there is no home directory: set HOME") from None
    say((aws_model.uninstall if uninstall else aws_model.install)(home))
