"""Access keys through the API, from anywhere, as whoever has the credentials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hatchway.administration.access_keys import (
    Into,
    IntoProfile,
    Keys,
    ListedKey,
    MadeKey,
    in_order,
    ready_profile,
    to_rotate,
)
from hatchway.administration.bundling import IntoBundle
from hatchway.client.api.profile import Profile, api_errors
from hatchway.client.setup.aws_profile import AwsProfile, kept_on_failure, write_profile
from hatchway.domain.identity import AccessKey, AccessKeyUse, KeyStatus
from hatchway.errors import BadUsage, CommandFailed

_ROOT_ALONE: Final = (
    "keys of the root user are made, listed and ended by root itself: give --data-dir DIR on the server, or"
    " call with a key of root"
)


class KeysByApi(Keys):
    """Each operation raises ApiError or NotConfigured besides, where the API refuses or cannot be asked."""

    def __init__(self, profile: Profile, tell: Callable[[str], None]) -> None:
        """`tell` is told what is being done, where that may take long."""
        self._profile = profile
        self._tell = tell
        self._iam = profile.api("iam")

    def list(self, user: str | None, *, everybody: bool) -> Sequence[ListedKey]:
        """As above; root's keys are among everybody's only if root asks. AWS's API tells of the last use of
        one key alone, hence a call for each user and each key."""
        keys: list[AccessKey] = []
        if not everybody:
            keys += self._keys_of(user)
        else:
            if self._caller_is_root():
                keys += self._keys_of(None)
            with api_errors("ListUsers"):
                pages = self._iam.get_paginator("list_users").paginate()
                names = [str(each["UserName"]) for page in pages for each in page["Users"]]
            for number, name in enumerate(names, start=1):
                self._tell(f"Listing the keys of user {number} of {len(names)}")
                keys += self._keys_of(name)
        listed = []
        for number, key in enumerate(keys, start=1):
            self._tell(f"Asking for the last use of key {number} of {len(keys)}")
            listed.append(ListedKey(key, self._last_use(key.id)[1]))
        return in_order(listed)

    def create(self, user: str | None, into: Into | None) -> MadeKey:
        profile = _not_a_bundle(into)
        if user is None:
            self._require_root()
        return self._make(user, profile, replaced=None if profile is None else ready_profile(profile))

    def rotate(self, user: str | None, into: Into | None, *, at_once: bool) -> MadeKey:
        """As above, but in a call for each step: a key that has to go is gone even where no new one comes."""
        profile = _not_a_bundle(into)
        stay, goes = to_rotate(user, self._keys_of(user))
        replaced = None if profile is None else ready_profile(profile, stay)
        if goes is not None:
            self._delete(goes)
        made = self._make(user, profile, replaced)
        if at_once:
            for key in stay:
                self._set_status(key, KeyStatus.INACTIVE)
            stay = tuple(replace(key, status=KeyStatus.INACTIVE) for key in stay)
        return replace(made, former=stay, deleted=goes)

    def set_status(self, key_id: str, status: KeyStatus) -> tuple[AccessKey, bool]:
        key = self._find(key_id)
        changed = key.status is not status
        if changed:
            self._set_status(key, status)
        return key, changed

    def delete(self, key_id: str) -> AccessKey:
        key = self._find(key_id)
        self._delete(key)
        return key

    def _make(self, user: str | None, into: IntoProfile | None, replaced: Any) -> MadeKey:
        with api_errors("CreateAccessKey"):
            told = self._iam.create_access_key(**_of(user))["AccessKey"]
            key, secret = _key(told, user), str(told["SecretAccessKey"])
        if into is None:
            return MadeKey(key, secret)
        ca_bundle = self._profile.ca_bundle
        written = AwsProfile(
            name=into.name,
            endpoint_url=into.endpoint_url or self._profile.endpoint_url("iam"),
            region=self._profile.region,
            ca_bundle=Path(ca_bundle).absolute() if ca_bundle else None,
            access_key_id=key.id,
            secret_access_key=secret,
        )
        try:
            with kept_on_failure(into.files):
                write_profile(into.files, written)
        except (CommandFailed, OSError):
            self._delete(key)
            raise
        return MadeKey(key, secret, replaced=replaced)

    def _keys_of(self, user: str | None) -> Sequence[AccessKey]:
        if user is None:
            self._require_root()
        with api_errors("ListAccessKeys"):
            pages = self._iam.get_paginator("list_access_keys").paginate(**_of(user))
            return [_key(each, user) for page in pages for each in page["AccessKeyMetadata"]]

    def _find(self, key_id: str) -> AccessKey:
        user, _ = self._last_use(key_id)
        found = next((key for key in self._keys_of(user) if key.id == key_id), None)
        if found is None:
            raise CommandFailed(f"there is no access key {key_id!r} any more: see 'hatchway access-key list'")
        return found

    def _last_use(self, key_id: str) -> tuple[str | None, AccessKeyUse | None]:
        """Whose a key is, and when it was last used, if ever."""
        with api_errors("GetAccessKeyLastUsed"):
            told = self._iam.get_access_key_last_used(AccessKeyId=key_id)
            use = told["AccessKeyLastUsed"]
            used_at, user = use.get("LastUsedDate"), told.get("UserName")
            if used_at is None:
                return user, None
            return user, AccessKeyUse(
                access_key_id=key_id, used_at=used_at, service=use["ServiceName"], region=use["Region"]
            )

    def _set_status(self, key: AccessKey, status: KeyStatus) -> None:
        with api_errors("UpdateAccessKey"):
            self._iam.update_access_key(AccessKeyId=key.id, Status=status.value, **_of(key.user_name))

    def _delete(self, key: AccessKey) -> None:
        with api_errors("DeleteAccessKey"):
            self._iam.delete_access_key(AccessKeyId=key.id, **_of(key.user_name))

    def _require_root(self) -> None:
        """A call that names nobody is about the caller: about root only if that is who calls."""
        if not self._caller_is_root():
            raise BadUsage(_ROOT_ALONE)

    def _caller_is_root(self) -> bool:
        with api_errors("GetCallerIdentity"):
            identity = self._profile.api("sts").get_caller_identity()
            return bool(str(identity["Arn"]).endswith(":root"))


def _not_a_bundle(into: Into | None) -> IntoProfile | None:
    if isinstance(into, IntoBundle):
        raise BadUsage("a bundle is made on the server: give --data-dir DIR there")
    return into


def _of(user: str | None) -> Mapping[str, str]:
    return {} if user is None else {"UserName": user}


def _key(told: Mapping[str, Any], user: str | None) -> AccessKey:
    return AccessKey(
        id=str(told["AccessKeyId"]),
        user_name=user,
        status=KeyStatus(told["Status"]),
        created_at=told["CreateDate"],
    )
