"""`hatchway ca` and `hatchway trust`: the private CA, and who trusts it."""

import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say
from hatchway.errors import BadUsage, CommandFailed

_NEXT: Final = {
    "add": "Make every client and host trust ca.pem, then: hatchway ca rotate --step use",
    "use": "Reload the server (systemctl reload hatchway), then: hatchway ca rotate --step drop",
    "drop": "Clients and hosts may now forget the old CA, in the same ways",
}


def register(app: typer.Typer) -> None:
    authority = typer.Typer(help="Rotate the private CA.", rich_markup_mode=None)
    authority.command("rotate")(rotate)
    # Without this, typer would make the one command the group itself.
    authority.callback()(_group)
    app.add_typer(authority, name="ca")
    trust = typer.Typer(help="Make this system, or a profile, trust the private CA.", rich_markup_mode=None)
    trust.command("install")(install_trust)
    trust.command("update")(update_trust)
    app.add_typer(trust, name="trust")


def _group() -> None:
    """The private CA."""


def rotate(
    *,
    step: Annotated[str, typer.Option(metavar="add|use|drop", help="Which of the three steps to do.")],
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="With 'add': another DNS name for which, and for whose subdomains, the next CA may"
            " issue. May be repeated.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Do not wait for joined machines; those that are behind have to join again."
        ),
    ] = False,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Replace the private CA while the server runs.

    'add' creates the next CA, and ca.pem contains both. When every client and host trusts both, 'use' makes
    the next one issue; when the server shows a certificate from it, 'drop' removes the old one from ca.pem.
    Joined machines follow automatically; a step that is too early for one of them is refused, with its name.

    \b
    Example:
      hatchway ca rotate --step add --data-dir /var/lib/hatchway
    """
    from hatchway.administration.certificate_authority import Step
    from hatchway.administration.certificate_authority import rotate as rotate_authority
    from hatchway.installation.installation import open_installation

    try:
        chosen = Step(step)
    except ValueError:
        raise BadUsage(f"--step {step!r} is not add, use or drop") from None
    with open_installation(data_directory(data_dir), store_url) as installation:
        now = rotate_authority(installation, chosen, tuple(each.lower() for each in name or ()), force=force)
    if json:
        import json as json_format

        say(json_format.dumps({"authorities": now.fingerprints, "names": now.names}))
        return
    say(f"CA that issues: {now.fingerprints[0]}, for {', '.join(now.names)}")
    for other in now.fingerprints[1:]:
        say(f"Also trusted:   {other}")
    say(_NEXT[step])


def install_trust(
    *,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take it out again.")] = False,
    ca_certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The CA's certificate, on a machine without the data directory."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Add the private CA to the system's trust store.

    The AWS CLI's tunnels use only the system's trust store. Needs root.

    \b
    Examples:
      sudo hatchway trust install --data-dir /var/lib/hatchway
      sudo hatchway trust install --ca-certificate ca.pem
    """
    from hatchway.client.setup import trust

    file = ca_certificate or data_directory(data_dir).ca_certificate
    for authority in trust.Authority.read(file.absolute()):
        say((trust.uninstall if uninstall else trust.install)(authority))


@with_option_groups
def update_trust(
    *,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name for which the next CA may issue. May be repeated."),
    ] = None,
    caller: CallerArguments,
) -> None:
    """Update the ca_bundle of a profile with the API's CAs.

    The API is verified with the CAs in the file now. The file is written only if the API names one of these,
    and no CA for names for which none of them may issue, except those that --name gives. For the AWS CLI's
    tunnels, pass the file to 'hatchway trust install --ca-certificate' afterwards.

    \b
    Example:
      hatchway trust update --profile alice
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.setup.ca_update import update

    with client_errors():
        profile = Profile(caller.options())
        file, url = profile.ca_bundle, profile.endpoint_url("ec2")
    if file is None:
        raise CommandFailed("the profile has no ca_bundle: there is no file to bring up to date")
    changed = update(url, Path(file), name or ())
    if changed is None:
        say(f"{file} is up to date")
        return
    say(f"{file} now trusts: {', '.join(changed)}")
    say(f"For the AWS CLI's tunnels: sudo hatchway trust install --ca-certificate {shlex.quote(str(file))}")
