"""What the commands for access keys print, for people or as one JSON object."""

import os
from json import dumps
from typing import TYPE_CHECKING, Any, Final

from hatchway.cli.printable import say
from hatchway.cli.table import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatchway.administration.access_keys import Into, IntoProfile, ListedKey, MadeKey
    from hatchway.domain.identity import AccessKey, KeyStatus

_COLUMNS: Final = ("USER", "ACCESS KEY", "STATUS", "CREATED", "LAST USED", "SERVICE")


def tell_made(made: "MadeKey", into: "Into | None", *, json: bool) -> None:
    """A key that has been made, and where it is; its secret too unless it was put somewhere."""
    from hatchway.administration.access_keys import IntoProfile
    from hatchway.administration.bundling import IntoBundle

    user = made.key.user_name
    for note in made.notes:
        say(f"hatchway: {note}", err=True)
    if json:
        answer: dict[str, Any] = {
            "user": user,
            "access_key_id": made.key.id,
            "secret_access_key": made.secret,
        }
        if isinstance(into, IntoBundle):
            # It is in there, for the user's eyes.
            del answer["secret_access_key"]
            answer["bundle"] = str(into.target)
        if made.former or made.deleted is not None:
            answer["former"] = [{"access_key_id": key.id, "status": key.status.value} for key in made.former]
            answer["deleted"] = None if made.deleted is None else made.deleted.id
        say(dumps(answer))
    elif into is None:
        say(
            f"Access key of {user or 'root'}, shown only once:",
            f"  aws_access_key_id = {made.key.id}",
            f"  aws_secret_access_key = {made.secret}",
        )
    elif isinstance(into, IntoBundle):
        say(
            f"Access key {made.key.id} of {user or 'root'} is in {into.target}, for profile {into.profile}",
            f"Give it to {user or 'root'} over a confidential channel, then delete it here:"
            " its README.txt says what to do with it",
        )
    else:
        say(
            f"Access key {made.key.id} of {user or 'root'} is in profile {into.name} of"
            f" {into.files.credentials}",
            f"Try: aws --profile {into.name} sts get-caller-identity",
        )
    if isinstance(into, IntoProfile):
        _tell_of_profile(made, into)
    if not json:
        _tell_of_former(made)


def tell_listed(listed: "Sequence[ListedKey]", *, json: bool) -> None:
    """Keys, with when each was last used."""
    if json:
        say(dumps({"access_keys": [_document(each) for each in listed]}))
        return
    for line in table([_COLUMNS, *map(_row, listed)]):
        say(line)


def tell_status(key: "AccessKey", status: "KeyStatus", *, changed: bool, json: bool) -> None:
    """That a key has this status from now on, or had it before."""
    if json:
        answer = {"user": key.user_name, "access_key_id": key.id, "status": status.value}
        say(dumps({**answer, "changed": changed}))
    else:
        was = "is" if changed else "was already"
        say(f"{key.id} of {key.user_name or 'root'} {was} {status.value.lower()}")


def tell_deleted(key: "AccessKey", *, json: bool) -> None:
    """A key that is gone."""
    if json:
        say(dumps({"user": key.user_name, "access_key_id": key.id}))
    else:
        say(f"Deleted {key.id} of {key.user_name or 'root'}")


def _tell_of_profile(made: "MadeKey", into: "IntoProfile") -> None:
    if made.replaced is not None:
        say(f"hatchway: profile {into.name} had {made.replaced}, which it has no longer", err=True)
    if "AWS_CA_BUNDLE" in os.environ:
        say("hatchway: AWS_CA_BUNDLE is set, so that AWS tools ignore the profile's CA: unset it", err=True)


def _tell_of_former(made: "MadeKey") -> None:
    from hatchway.domain.identity import KeyStatus

    if made.deleted is not None:
        say(f"Deleted {made.deleted.id}, which was inactive")
    for former in made.former:
        if former.status is KeyStatus.INACTIVE:
            say(f"{former.id} is inactive. To delete it: hatchway access-key delete {former.id}")
        else:
            say(
                f"{former.id} is still active. When nothing uses it any more: "
                f"hatchway access-key deactivate {former.id}"
            )


def _row(listed: "ListedKey") -> tuple[str, ...]:
    key, use = listed.key, listed.use
    return (
        key.user_name or "(root)",
        key.id,
        key.status.value,
        f"{key.created_at:%Y-%m-%d %H:%M:%S}",
        "never" if use is None else f"{use.used_at:%Y-%m-%d %H:%M:%S}",
        "" if use is None else use.service,
    )


def _document(listed: "ListedKey") -> dict[str, Any]:
    key, use = listed.key, listed.use
    last_used = None
    if use is not None:
        last_used = {"at": use.used_at.isoformat(), "service": use.service, "region": use.region}
    return {
        "user": key.user_name,
        "access_key_id": key.id,
        "status": key.status.value,
        "created_at": key.created_at.isoformat(),
        "last_used": last_used,
    }
