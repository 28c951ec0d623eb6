"""The account as IAM sees it: a summary, and its alias."""

from typing import Final

from hatchway.access.authorization import Check
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.quotas import SUMMARY
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.account import AccountAlias
from hatchway.protocol import ServiceError

_NOT_HERE: Final = (
    "AccountPasswordPresent",
    "AccountSigningCertificatesPresent",
    "InstanceProfiles",
    "ServerCertificates",
)
"""What GetAccountSummary counts in AWS, and no account has here."""


@operation("iam", "GetAccountSummary", reads_only=True)
def get_account_summary(call: Call) -> Result:
    call.authorize(Check("iam:GetAccountSummary"))

    tx = call.tx
    counts = {
        "Users": tx.users.count(),
        "Groups": tx.groups.count(),
        "Roles": tx.roles.count(),
        "Policies": tx.managed_policies.count(),
        "PolicyVersionsInUse": tx.policy_versions.count(),
        "AccountAccessKeysPresent": int(tx.access_keys.count(user_name=None) > 0),
    }
    quotas = {**SUMMARY, "UsersQuota": tx.account().quotas.users_per_account}
    return {"SummaryMap": {**counts, **dict.fromkeys(_NOT_HERE, 0), **quotas}}


@operation("iam", "CreateAccountAlias", reads_only=False)
def create_account_alias(call: Call) -> Result:
    """An account has one alias: another takes its place (AWS: "CreateAccountAlias")."""
    alias = call.parameters["AccountAlias"]

    call.authorize(Check("iam:CreateAccountAlias"))

    call.tx.account_aliases.delete_where()
    call.tx.account_aliases.put(AccountAlias(alias=alias))
    return {}


@operation("iam", "DeleteAccountAlias", reads_only=False)
def delete_account_alias(call: Call) -> Result:
    alias = call.parameters["AccountAlias"]

    call.authorize(Check("iam:DeleteAccountAlias"))

    if not call.tx.account_aliases.delete(alias):
        raise ServiceError("NoSuchEntity", f"The Account Alias cannot be found: {alias}.")
    return {}


@operation("iam", "ListAccountAliases", reads_only=True)
def list_account_aliases(call: Call) -> Result:
    call.authorize(Check("iam:ListAccountAliases"))

    aliases = [alias.alias for alias in call.tx.account_aliases.find()]
    page = page_of(call, aliases, key=lambda alias: alias)
    return {"AccountAliases": page.items, **page.result()}
