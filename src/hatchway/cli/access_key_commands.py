"""Commands for access keys: through the API, or on the server itself with --data-dir."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import Json, StoreArguments, data_directory
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from hatchway.administration.access_keys import Into, Keys
    from hatchway.domain.identity import KeyStatus

_User = Annotated[str | None, typer.Argument(metavar="USER", help="The user's name.", show_default=False)]
_Root = Annotated[bool, typer.Option("--root", help="The root user, instead of USER.")]
_KeyId = Annotated[str, typer.Argument(metavar="ID", help="The access key's id, as 'list' shows it.")]
_ProfileName = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Write the key to this AWS profile of yours."),
]
_EndpointUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The API's URL for the profile; by default the address that it listens on."
    ),
]
_Bundle = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|DIR",
        help="Put the key into a bundle for the user's own machine, with the CA, a script that"
        " installs both, and instructions: a ZIP file if the name ends in .zip, else a directory."
        " It must not exist yet.",
    ),
]
_CaCertificate = Annotated[
    Path | None,
    typer.Option(
        "--ca-certificate",
        metavar="FILE",
        help="The CA that a bundle makes the user trust, if not the private CA.",
    ),
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite the profile if it exists.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _IntoArguments:
    """Where `create` and `rotate` put the key."""

    profile: _ProfileName = None
    endpoint_url: _EndpointUrl = None
    bundle: _Bundle = None
    ca_certificate: _CaCertificate = None
    overwrite: _Overwrite = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _WhereArguments(StoreArguments):
    """Where the keys are: at the API, which is asked as a profile, or in the server's store."""

    as_profile: Annotated[
        str | None,
        typer.Option("--as", metavar="PROFILE", help="Call the API with this AWS profile; else AWS_PROFILE."),
    ] = None


@contextmanager
def _keys(where: _WhereArguments, into: "Into | None" = None) -> Iterator["Keys"]:
    if (where.data_dir is not None or where.store_url is not None) and where.as_profile is None:
        from hatchway.administration.access_keys import KeysOnServer
        from hatchway.installation.installation import open_installation

        with open_installation(data_directory(where.data_dir), where.store_url) as installation:
            yield KeysOnServer(installation)
    else:
        from hatchway.administration.remote_keys import KeysByApi
        from hatchway.cli.client_options import CallerArguments, administration_errors
        from hatchway.cli.progress import working
        from hatchway.client.api.profile import Profile

        url = None if into is None else into.endpoint_url
        with administration_errors(), working("Asking the API") as tell:
            options = CallerArguments(profile=where.as_profile, endpoint_url=url).options()
            yield KeysByApi(Profile(options), tell)


def register(app: typer.Typer) -> None:
    access_key = typer.Typer(help="Create, list, rotate and delete access keys.", rich_markup_mode=None)
    access_key.command("create")(create)
    access_key.command("list")(list_)
    access_key.command("rotate")(rotate)
    access_key.command("deactivate")(deactivate)
    access_key.command("activate")(activate)
    access_key.command("delete")(delete)
    app.add_typer(access_key, name="access-key")


@with_option_groups
def create(
    user: _User = None,
    *,
    root: _Root = False,
    into: _IntoArguments,
    json: Json = False,
    where: _WhereArguments,
) -> None:
    """Create an access key for a user.

    The key is printed once, or written to an AWS profile of yours, or to a bundle for the user's own machine.
    An existing profile is not overwritten. The command calls the API with your credentials and needs the
    permission iam:CreateAccessKey; with --data-dir it works on the store, on the server. A bundle can only
    be made there.

    \b
    Examples:
      hatchway access-key create alice --profile alice --as admin
      hatchway access-key create alice --data-dir /var/lib/hatchway
      hatchway access-key create alice --bundle alice.zip --data-dir /var/lib/hatchway
      hatchway access-key create alice --profile alice --data-dir /var/lib/hatchway
      hatchway access-key create --root --data-dir /var/lib/hatchway
    """
    from hatchway.cli.access_key_output import tell_made

    owner = _owner(user, root=root)
    destination = _destination(owner, into)
    with _keys(where, destination) as keys:
        made = keys.create(owner, destination)
    tell_made(made, destination, json=json)


@with_option_groups
def rotate(
    user: _User = None,
    *,
    root: _Root = False,
    at_once: Annotated[
        bool,
        typer.Option("--at-once", help="Deactivate the old key now; tunnels opened with it are cut."),
    ] = False,
    into: _IntoArguments,
    json: Json = False,
    where: _WhereArguments,
) -> None:
    """Replace a user's access key with a new one.

    The old key is valid until you deactivate it, once everything that used it has the new one: 'list' shows
    when it was last used. The inactive key of the previous rotation is deleted, since a user has at most two.
    A profile with a key of this user gets the new one. Calls the API with your credentials and needs the
    permissions iam:ListAccessKeys, iam:CreateAccessKey, iam:UpdateAccessKey and iam:DeleteAccessKey; with
    --data-dir it works on the store, on the server.

    \b
    Examples:
      hatchway access-key rotate alice --profile alice
      hatchway access-key rotate alice --at-once --as admin
      hatchway access-key rotate --root --at-once --data-dir /var/lib/hatchway
    """
    from hatchway.cli.access_key_output import tell_made

    owner = _owner(user, root=root)
    destination = _destination(owner, into)
    with _keys(where, destination) as keys:
        made = keys.rotate(owner, destination, at_once=at_once)
    tell_made(made, destination, json=json)


@with_option_groups
def list_(
    user: _User = None,
    *,
    root: _Root = False,
    json: Json = False,
    where: _WhereArguments,
) -> None:
    """List access keys: everybody's, or one user's.

    Shows when and for which service each was last used, also in requests that were refused. Times are UTC.
    Calls the API with your credentials and needs the permissions iam:ListAccessKeys,
    iam:GetAccessKeyLastUsed and, for everybody's, iam:ListUsers; only root sees root's own keys there. With
    --data-dir it reads the store, on the server.

    \b
    Examples:
      hatchway access-key list alice
      hatchway access-key list --as admin
      hatchway access-key list --data-dir /var/lib/hatchway
    """
    from hatchway.cli.access_key_output import tell_listed

    everybody = user is None and not root
    owner = None if everybody else _owner(user, root=root)
    with _keys(where) as keys:
        listed = keys.list(owner, everybody=everybody)
    tell_listed(listed, json=json)


@with_option_groups
def deactivate(key: _KeyId, *, json: Json = False, where: _WhereArguments) -> None:
    """Deactivate an access key.

    Requests signed with it are refused from now on, and tunnels opened with it are cut within a second.
    'activate' undoes this. Calls the API with your credentials and needs the permissions
    iam:GetAccessKeyLastUsed, iam:ListAccessKeys and iam:UpdateAccessKey; with --data-dir it works on the
    store, on the server.

    \b
    Examples:
      hatchway access-key deactivate AKIAIOSFODNN7EXAMPLE
      hatchway access-key deactivate AKIAIOSFODNN7EXAMPLE --data-dir /var/lib/hatchway
    """
    from hatchway.domain.identity import KeyStatus

    _set_status(key, KeyStatus.INACTIVE, where, json=json)


@with_option_groups
def activate(key: _KeyId, *, json: Json = False, where: _WhereArguments) -> None:
    """Reactivate an access key.

    Needs the same permissions as 'deactivate', or --data-dir.

    \b
    Example:
      hatchway access-key activate AKIAIOSFODNN7EXAMPLE
    """
    from hatchway.domain.identity import KeyStatus

    _set_status(key, KeyStatus.ACTIVE, where, json=json)


@with_option_groups
def delete(key: _KeyId, *, json: Json = False, where: _WhereArguments) -> None:
    """Delete an access key permanently.

    Deactivate it first and wait to see whether anybody misses it: a deleted key cannot be restored. Calls
    the API with your credentials and needs the permissions iam:GetAccessKeyLastUsed, iam:ListAccessKeys and
    iam:DeleteAccessKey; with --data-dir it works on the store, on the server.

    \b
    Examples:
      hatchway access-key delete AKIAIOSFODNN7EXAMPLE
      hatchway access-key delete AKIAIOSFODNN7EXAMPLE --data-dir /var/lib/hatchway
    """
    from hatchway.cli.access_key_output import tell_deleted

    with _keys(where) as keys:
        deleted = keys.delete(key)
    tell_deleted(deleted, json=json)


def _set_status(key: str, status: "KeyStatus", where: _WhereArguments, *, json: bool) -> None:
    from hatchway.cli.access_key_output import tell_status

    with _keys(where) as keys:
        found, changed = keys.set_status(key, status)
    tell_status(found, status, changed=changed, json=json)


def _owner(user: str | None, *, root: bool) -> str | None:
    """The user's name; None for the root user.

    Raises:
        BadUsage: neither was named, or both.
    """
    if (user is None) != root:
        raise BadUsage("name a USER, or give --root")
    return user


def _destination(owner: str | None, given: _IntoArguments) -> "Into | None":
    """
    Raises:
        BadUsage: nothing can be called so, or two options are not for each other.
    """
    import os

    from hatchway.administration.access_keys import IntoProfile
    from hatchway.administration.bundling import IntoBundle
    from hatchway.client.setup.aws_profile import SharedFiles, check_profile_name

    if given.bundle is not None:
        name = given.profile or owner or "root"
        check_profile_name(name)
        return IntoBundle(
            target=given.bundle.expanduser(),
            profile=name,
            endpoint_url=given.endpoint_url,
            ca_certificate=given.ca_certificate,
        )
    if given.ca_certificate is not None:
        raise BadUsage("--ca-certificate is for a bundle: give --bundle too")
    if given.profile is None:
        return None
    check_profile_name(given.profile)
    return IntoProfile(
        name=given.profile,
        files=SharedFiles.find(os.environ),
        endpoint_url=given.endpoint_url,
        overwrite=given.overwrite,
    )
