"""The AWS Security Token Service's operations (AWS: "AWS STS API Reference")."""

from hatchway.control.operations import Call, Result, operation


@operation("sts", "GetCallerIdentity", reads_only=True)
def get_caller_identity(call: Call) -> Result:
    """Who is calling. Nobody needs a permission for it, and no policy can take it away."""
    principal = call.caller.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}
