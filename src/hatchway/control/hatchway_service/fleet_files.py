"""The account as a fleet file: what applying one would do, doing it, and the file that the account is.

Whoever may apply a file may do anything: it sets policies, groups and guardrails. So that is a permission of
its own, on no resource but `*`, and what was done is in the audit trail thing by thing.
"""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hatchway.access.authorization import Check
from hatchway.account.fleet import is_current, read_account, told_changes, told_counts, write_plan
from hatchway.control.hatchway_service.turns import Turns
from hatchway.control.operations import AuditedAnswer, Call, Result, StalePreparation, operation
from hatchway.fleet.account_view import AccountView
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.export import export_view
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.plan import Change, Plan, make_plan
from hatchway.fleet.problems import BadFleet
from hatchway.protocol import ServiceError

LARGEST_FILE: Final = 16 * 1024 * 1024
"""Bytes of a file once it is decompressed."""
MOST_VALUES: Final = 2_000_000
"""Values of a file, as its text is read: some 100,000 instances."""
_MOST_PROBLEMS: Final = 1000
_GZIP: Final = b"\x1f\x8b"
"""How data of gzip begin (RFC 1952 section 2.3.1), and no text does."""

_turns: Final = Turns("plan or export a whole account", most_waiting=4, longest_wait=10.0)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A file and what it comes to in the account as it was then."""

    fleet: Fleet
    view: AccountView
    plan: Plan


@operation("hatchway", "PlanFleet", reads_only=True)
def plan_fleet(call: Call) -> Result:
    """What ApplyFleet would do."""
    plan = _prepare(call, "PlanFleet").plan
    return {"Plan": _result(plan)}


def prepare_application(call: Call) -> _Prepared:
    """Reads and plans before anybody is kept from writing: a large file takes seconds."""
    return _prepare(call, "ApplyFleet")


@operation("hatchway", "ApplyFleet", reads_only=False, prepare=prepare_application)
def apply_fleet(call: Call) -> Result:
    """Makes the account be as the file says, all or nothing."""
    prepared: _Prepared = call.prepared or prepare_application(call)
    prune = call.parameters.get("Prune", False)

    call.authorize(_check(call, "ApplyFleet"))

    plan = prepared.plan
    if not is_current(prepared.view, call.tx):
        if call.may_be_stale:
            raise StalePreparation
        try:
            plan = make_plan(prepared.fleet, read_account(call.tx), now=call.now, prune=prune)
        except BadFleet as bad:
            raise _invalid(bad) from bad
    write_plan(call.tx, plan.writes)
    call.audited_answer = AuditedAnswer(
        told_counts(plan), {"fileSha256": prepared.fleet.digest, **told_changes(plan)}
    )
    return {"Plan": _result(plan)}


@operation("hatchway", "ExportFleet", reads_only=True)
def export_fleet(call: Call) -> Result:
    """The account as a fleet file."""
    compression = call.parameters.get("Compression", "NONE")

    call.authorize(Check("hatchway:ExportFleet"))

    with _turns.one():
        content = export_view(read_account(call.tx)).encode()
    return {"FleetFile": gzip.compress(content, mtime=0) if compression == "GZIP" else content}


def _prepare(call: Call, operation_name: str) -> _Prepared:
    call.authorize(_check(call, operation_name))
    prune = call.parameters.get("Prune", False)
    with _turns.one():
        view = read_account(call.tx)
        try:
            fleet = (
                parse_fleet(_decompressed(call.parameters["FleetFile"]), most_values=MOST_VALUES)
                if call.prepared is None
                else call.prepared.fleet
            )
            return _Prepared(fleet, view, make_plan(fleet, view, now=call.now, prune=prune))
        except BadFleet as bad:
            raise _invalid(_every_problem(call, bad, view)) from bad


def _check(call: Call, operation_name: str) -> Check:
    prune = call.parameters.get("Prune", False)
    return Check(f"hatchway:{operation_name}", context={"hatchway:Prune": "true" if prune else "false"})


def _every_problem(call: Call, bad: BadFleet, view: AccountView) -> BadFleet:
    """All that is wrong with a file which could not be read whole: also where the rest fits no account."""
    if bad.readable is None:
        return bad
    try:
        make_plan(bad.readable, view, now=call.now, prune=call.parameters.get("Prune", False))
    except BadFleet as more:
        return BadFleet((*bad.problems, *more.problems))
    return bad


def _decompressed(content: bytes) -> bytes:
    """
    Raises:
        ServiceError: it is no gzip, or too large.
    """
    if content.startswith(_GZIP):
        inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            content = inflater.decompress(content, LARGEST_FILE + 1)
        except zlib.error:
            raise ServiceError("ValidationException", "FleetFile: it begins as gzip and is not.") from None
        if len(content) <= LARGEST_FILE and not inflater.eof:
            raise ServiceError("ValidationException", "FleetFile: the gzip data end too soon.")
    if len(content) > LARGEST_FILE:
        raise ServiceError(
            "ValidationException",
            f"FleetFile: it has more than {LARGEST_FILE // 1024**2} MiB: apply it on the server, with"
            " hatchway apply --data-dir, or in parts.",
        )
    return content


def _invalid(bad: BadFleet) -> ServiceError:
    problems = bad.problems[:_MOST_PROBLEMS]
    more = len(bad.problems) - 1
    return ServiceError(
        "InvalidFleetException",
        f"{bad.problems[0]}{f' (and {more} more)' if more else ''}",
        fields={"Problems": [{"Place": each.place, "Message": each.message} for each in problems]},
    )


def _result(plan: Plan) -> Mapping[str, Any]:
    return {"Changes": [_change(change) for change in plan.changes], "Unchanged": plan.unchanged}


def _change(change: Change) -> Mapping[str, Any]:
    return {
        "Action": change.action.value,
        "Kind": change.kind,
        "Name": change.name,
        "Id": change.id,
        "Fields": [
            {"Field": each.field, "Old": _json(each.old), "New": _json(each.new)} for each in change.fields
        ],
        "Notes": list(change.notes),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
