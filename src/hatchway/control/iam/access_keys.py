"""Access keys (AWS: "Manage access keys for IAM users")."""

from typing import Any, Final

from hatchway.access.authorization import AccessDenied, Check
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import USERS, KeyOwner
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import AccessKey, KeyStatus
from hatchway.keys import access_keys
from hatchway.protocol import ServiceError

_NOT_APPLICABLE: Final = "N/A"
"""AWS: AccessKeyLastUsed, of a key that was never used."""


@operation("iam", "CreateAccessKey", reads_only=False)
def create_access_key(call: Call) -> Result:
    """Makes a key; this answer is the only one that ever has its secret."""
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, "CreateAccessKey"))

    owner.require()
    if call.tx.access_keys.count(user_name=owner.user_name) >= access_keys.MOST_KEYS:
        most = access_keys.MOST_KEYS
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {most}")
    new = access_keys.create_access_key(
        call.tx,
        call.vault,
        user_name=owner.user_name,
        now=call.now,
        random_bytes=call.random_bytes,
    )
    return {
        "AccessKey": {
            "UserName": owner.user_name,
            "AccessKeyId": new.key.id,
            "Status": new.key.status.value,
            "SecretAccessKey": new.secret,
            "CreateDate": new.key.created_at,
        }
    }


@operation("iam", "ListAccessKeys", reads_only=True)
def list_access_keys(call: Call) -> Result:
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, "ListAccessKeys"))

    owner.require()
    page = page_of(call, call.tx.access_keys.find(user_name=owner.user_name), key=lambda key: key.id)
    return {
        "AccessKeyMetadata": [
            {
                "UserName": key.user_name,
                "AccessKeyId": key.id,
                "Status": key.status.value,
                "CreateDate": key.created_at,
            }
            for key in page.items
        ],
        **page.result(),
    }


@operation("iam", "UpdateAccessKey", reads_only=False)
def update_access_key(call: Call) -> Result:
    """Activates or deactivates a key. An inactive key's tunnels are cut."""
    owner = KeyOwner.of(call)
    status = _status(call.parameters["Status"])

    call.authorize(owner.check(call, "UpdateAccessKey"))

    access_keys.set_status(call.tx, _key_of(call, owner), status)
    return {}


@operation("iam", "DeleteAccessKey", reads_only=False)
def delete_access_key(call: Call) -> Result:
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, "DeleteAccessKey"))

    access_keys.delete_access_key(call.tx, _key_of(call, owner).id)
    return {}


@operation("iam", "GetAccessKeyLastUsed", reads_only=True)
def get_access_key_last_used(call: Call) -> Result:
    """When a key was last used, up to half a minute ago: see `hatchway.audit.key_uses`."""
    key_id = call.parameters["AccessKeyId"]
    key = call.tx.access_keys.get(key_id)

    _authorize_last_used(call, key)

    if key is None:
        raise no_such_key(key_id)
    use = call.tx.access_key_uses.get(key_id)
    last_used: dict[str, Any] = (
        {"ServiceName": _NOT_APPLICABLE, "Region": _NOT_APPLICABLE}
        if use is None
        else {"LastUsedDate": use.used_at, "ServiceName": use.service, "Region": use.region}
    )
    return {"UserName": key.user_name, "AccessKeyLastUsed": last_used}


def _authorize_last_used(call: Call, key: AccessKey | None) -> None:
    """Checks the permission on the key's user. Who lacks it is answered as of a key that is not there."""
    action = "GetAccessKeyLastUsed"
    unknown = Check(f"iam:{action}")
    if key is None:
        call.authorize(unknown)
        return
    owner = KeyOwner(None if key.user_name is None else USERS.named(call, key.user_name))
    try:
        call.authorize(owner.check(call, action))
    except AccessDenied:
        principal = call.caller.principal
        if principal.issuer is None and key.user_name == principal.user_name:
            raise
        call.authorize(unknown)
        raise no_such_key(key.id) from None


def no_such_key(key_id: str) -> ServiceError:
    return ServiceError("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.")


def _key_of(call: Call, owner: KeyOwner) -> AccessKey:
    owner.require()
    key = call.tx.access_keys.get(call.parameters["AccessKeyId"])
    # Another user's key is not told of.
    if key is None or key.user_name != owner.user_name:
        raise no_such_key(call.parameters["AccessKeyId"])
    return key


def _status(text: str) -> KeyStatus:
    try:
        return KeyStatus(text)
    except ValueError:
        allowed = ", ".join(status.value for status in KeyStatus)
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{text}' at 'status' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{allowed}]",
        ) from None
