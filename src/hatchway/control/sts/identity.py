"""Who is calling, and whose an access key is."""

from hatchway.access.authorization import Check
from hatchway.control.operations import Call, Result, operation
from hatchway.protocol import ServiceError


@operation("sts", "GetCallerIdentity", reads_only=True)
def get_caller_identity(call: Call) -> Result:
    """Who is calling. Nobody needs a permission for it, and no policy can take it away."""
    principal = call.caller.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@operation("sts", "GetAccessKeyInfo", reads_only=True)
def get_access_key_info(call: Call) -> Result:
    """The account of a key that exists, whatever its state."""
    key_id = call.parameters["AccessKeyId"]

    call.authorize(Check("sts:GetAccessKeyInfo"))

    if call.tx.access_keys.get(key_id) is None and call.tx.sessions.get(key_id) is None:
        raise ServiceError("ValidationError", "The access key ID is not one of this account's.")
    return {"Account": call.arns.account}
