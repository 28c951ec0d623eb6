"""Access keys (AWS: "Manage access keys for IAM users")."""

from typing import Final

from hatchway.access import access_keys
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import KeyOwner
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import AccessKey, KeyStatus
from hatchway.protocol import ServiceError

MOST_KEYS: Final = 2
"""Keys of one user, the root user included (AWS: "IAM and AWS STS quotas")."""


@operation("iam", "CreateAccessKey", reads_only=False)
def create_access_key(call: Call) -> Result:
    """Makes a key; this answer is the only one that ever has its secret."""
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, "CreateAccessKey"))

    owner.require()
    if call.tx.access_keys.count(user_name=owner.user_name) >= MOST_KEYS:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")
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

    key = _key_of(call, owner)
    call.tx.access_keys.put(
        AccessKey(id=key.id, user_name=key.user_name, status=status, created_at=key.created_at)
    )
    return {}


@operation("iam", "DeleteAccessKey", reads_only=False)
def delete_access_key(call: Call) -> Result:
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, "DeleteAccessKey"))

    access_keys.delete_access_key(call.tx, _key_of(call, owner).id)
    return {}


def _key_of(call: Call, owner: KeyOwner) -> AccessKey:
    owner.require()
    key = call.tx.access_keys.get(call.parameters["AccessKeyId"])
    # Another user's key is not told of.
    if key is None or key.user_name != owner.user_name:
        key_id = call.parameters["AccessKeyId"]
        raise ServiceError("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.")
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
