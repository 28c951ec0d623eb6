"""The credential report: every user's credentials and their use (AWS: "Getting credential reports").

It is made by the call that asks for it, and kept for four hours, as in AWS. Nobody waits for the making of
another's: it reads a view of before, and writes one row.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from hatchway.access.authorization import Check
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.account import CredentialReport
from hatchway.domain.identity import AccessKey, AccessKeyUse, KeyStatus
from hatchway.keys.access_keys import MOST_KEYS
from hatchway.protocol import ServiceError

LIFETIME: Final = timedelta(hours=4)
"""For how long a report is given, and no other is made (AWS: "Getting credential reports")."""

_ROOT: Final = "<root_account>"
_NOT_APPLICABLE: Final = "N/A"
_NOT_SUPPORTED: Final = "not_supported"
_OF_KEY: Final = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
_NUMBERS: Final = range(1, MOST_KEYS + 1)
COLUMNS: Final = (
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    *(f"access_key_{number}_{name}" for number in _NUMBERS for name in _OF_KEY),
    *(f"cert_{number}_{name}" for number in (1, 2) for name in ("active", "last_rotated")),
)


def prepare_report(call: Call) -> str | None:
    """A new report; None when there is one that is not too old."""
    call.authorize(Check("iam:GenerateCredentialReport"))

    return None if _is_fresh(_latest(call), call.now) else _report(call)


@operation("iam", "GenerateCredentialReport", reads_only=False, prepare=prepare_report)
def generate_credential_report(call: Call) -> Result:
    call.authorize(Check("iam:GenerateCredentialReport"))

    report: str | None = call.prepared
    if report is not None and not _is_fresh(_latest(call), call.now):
        account = call.arns.account
        call.tx.credential_reports.put(
            CredentialReport(account_id=account, generated_at=call.now, content=report)
        )
    return {"State": "COMPLETE"}


@operation("iam", "GetCredentialReport", reads_only=True)
def get_credential_report(call: Call) -> Result:
    call.authorize(Check("iam:GetCredentialReport"))

    report = _latest(call)
    if report is None:
        raise ServiceError("ReportNotPresent", "No report present. Make one with GenerateCredentialReport.")
    if not _is_fresh(report, call.now):
        raise ServiceError("ReportExpired", "The report has expired. Make one with GenerateCredentialReport.")
    return {
        "Content": report.content.encode(),
        "ReportFormat": "text/csv",
        "GeneratedTime": report.generated_at,
    }


def _latest(call: Call) -> CredentialReport | None:
    return call.tx.credential_reports.get(call.arns.account)


def _is_fresh(report: CredentialReport | None, now: datetime) -> bool:
    return report is not None and now - report.generated_at < LIFETIME


def _report(call: Call) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *_rows(call)])
    return text.getvalue()


def _rows(call: Call) -> Iterator[Sequence[str]]:
    """The root user's, then the users' by their names."""
    uses = {use.access_key_id: use for use in call.tx.access_key_uses.find()}
    keys: defaultdict[str | None, list[AccessKey]] = defaultdict(list)
    for key in sorted(call.tx.access_keys.find(), key=lambda key: (key.created_at, key.id)):
        keys[key.user_name].append(key)
    root_password = (_NOT_SUPPORTED, _NOT_APPLICABLE, _NOT_SUPPORTED, _NOT_SUPPORTED)
    created = _time(call.tx.account().created_at)
    yield (_ROOT, call.arns.root, created, *root_password, *_credentials(keys[None], uses))
    password = ("false", _NOT_APPLICABLE, _NOT_APPLICABLE, _NOT_APPLICABLE)
    for user in call.tx.users.find():
        about = (user.name, call.arns.user(user.name, user.path), _time(user.created_at))
        yield (*about, *password, *_credentials(keys[user.name], uses))


def _credentials(keys: Sequence[AccessKey], uses: "dict[str, AccessKeyUse]") -> Iterable[str]:
    """The columns from `mfa_active` on. Nobody has a second factor or a certificate."""
    yield "false"
    for place in range(MOST_KEYS):
        yield from _key_columns(keys[place], uses) if place < len(keys) else _no_key()
    yield from ("false", _NOT_APPLICABLE) * 2


def _key_columns(key: AccessKey, uses: "dict[str, AccessKeyUse]") -> Sequence[str]:
    active = "true" if key.status is KeyStatus.ACTIVE else "false"
    use = uses.get(key.id)
    used = (_NOT_APPLICABLE,) * 3 if use is None else (_time(use.used_at), use.region, use.service)
    return (active, _time(key.created_at), *used)


def _no_key() -> Sequence[str]:
    return ("false", *(_NOT_APPLICABLE,) * (len(_OF_KEY) - 1))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()
