"""What the same commands do through the API, from anywhere, as whoever has the credentials.

Each gives what its counterpart in `account` gives on the server.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hatchway.account.host_tokens import NewHostToken
from hatchway.administration.account import (
    AppliedFile,
    EnrolledHost,
    MadeScript,
    enrollment_note,
    host_script_of,
    read_certificate,
    refuse_bad_policies,
    told_of_file,
)
from hatchway.administration.fleet_files import files_in, read_fleet_file
from hatchway.client.api.ids import is_whole
from hatchway.client.api.profile import Profile, api_errors
from hatchway.client.discovery.hosts import identify_host
from hatchway.client.errors import ApiError
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.errors import BadUsage
from hatchway.fleet import Action, BadFleet, Change, FieldChange, Fleet, Plan, Problem, parse_fleet
from hatchway.fleet.inlining import with_policies_inline
from hatchway.fleet.lint import PolicyFinding, lint_policies, with_those_in_force
from hatchway.fleet.plan import Writes
from hatchway.fleet.policy_documents import canonical_document
from hatchway.host import enrollment_script
from hatchway.iam.lint import Home
from hatchway.policies.reference import ReferenceMissing, aws_facts

PATIENCE: Final = 900.0
"""Seconds that a whole file may take to be applied."""
MOST_SENT: Final = 770_000
"""Bytes of a compressed file that the API takes: FleetFile of its model."""
_SOME: Final = "i-0123456789abcdef0"
_SECTIONS: Final = {"policy": "policies", "user": "users", "group": "groups", "role": "roles"}

Tell = Callable[[str], None]


def apply_file(
    profile: Profile,
    file: Path,
    *,
    prune: bool,
    only_plan: bool,
    accept_policy_errors: bool,
    tell: Tell,
) -> AppliedFile:
    """Makes the account be as the file says, or only finds out what that would take.

    Raises:
        BadUsage: the file cannot be applied, or lint found an error in a new policy of it; nothing was done.
        ApiError, NotConfigured: the API refuses, or cannot be asked.
    """
    client = profile.api("hatchway", PATIENCE)
    with told_of_file(file):
        content = read_fleet_file(file)
        read_policy = files_in(file.parent)
        fleet = parse_fleet(content, read_policy)
        sent = gzip.compress(with_policies_inline(content, read_policy), mtime=0)
        if len(sent) > MOST_SENT:
            raise BadUsage(
                f"{file}: compressed it has {len(sent)} bytes, and the API takes {MOST_SENT}: apply it on the"
                " server with --data-dir, or in parts"
            )
        given = {"FleetFile": sent, "Prune": prune}
        tell("Planning")
        plan = _asked("PlanFleet", lambda: client.plan_fleet(**given))
        findings, unchecked = _lint(profile, fleet, plan)
        refuse_bad_policies(file, findings, accept=accept_policy_errors)
        if not only_plan:
            tell("Applying")
            plan = _asked("ApplyFleet", lambda: client.apply_fleet(**given))
    return AppliedFile(plan, findings, unchecked)


def export_file(profile: Profile) -> str:
    """The account as a fleet file.

    Raises:
        ApiError, NotConfigured: the API refuses, or cannot be asked.
    """
    client = profile.api("hatchway", PATIENCE)
    with api_errors("ExportFleet"):
        compressed = client.export_fleet(Compression="GZIP")["FleetFile"]
        try:
            return gzip.decompress(compressed).decode()
        except (OSError, EOFError, zlib.error) as problem:
            raise ValueError("this is no gzip") from problem


def enroll_host(profile: Profile, instance: str, *, at_once: bool = False) -> EnrolledHost:
    """Makes a host token for an instance, given by id, the beginning of one, its address or its tag Name.

    Raises:
        ApiError, NotConfigured, NotFound: the API refuses, or cannot be asked, or knows of no such instance.
    """
    instance_id = instance
    if not is_whole(instance):
        instance_id = identify_host(profile.api("ec2"), instance)
    client = profile.api("hatchway")
    with api_errors("EnrollHost"):
        answer = client.enroll_host(InstanceId=instance_id, AtOnce=at_once)
        # It is printed, and becomes a word of a script that root runs.
        if HOST_TOKEN.read(answer["HostToken"]).id != instance_id:
            raise ValueError("this is another host's token")
        made = NewHostToken(answer["HostToken"], in_force=answer["InForce"], replaced=answer["Replaced"])
    return EnrolledHost(instance_id, made.token, enrollment_note(instance_id, made))


def make_host_script(
    profile: Profile,
    instance: str,
    api_url: str | None,
    ca_certificate: Path | None,
    *,
    at_once: bool = False,
) -> MadeScript:
    """The script for an instance, with a new token in it. The host reaches the API as this machine does.

    Raises:
        BadUsage: the URL or the certificate is not one.
        ApiError, NotConfigured, NotFound: the API refuses, or cannot be asked, or knows of no such instance.
    """
    url, pem, notes = _api_for_hosts(profile, api_url, ca_certificate)
    # Tried before there is a new token: a wrong option must not end one.
    host_script_of(_SOME, HOST_TOKEN.write(BearerToken(_SOME, bytes(SECRET_SIZE))), url, pem)
    enrolled = enroll_host(profile, instance, at_once=at_once)
    notes += [enrolled.note] if enrolled.note is not None else []
    return MadeScript(host_script_of(enrolled.instance_id, enrolled.token, url, pem), tuple(notes))


def make_enrollment_script(
    profile: Profile, token: str, api_url: str | None, ca_certificate: Path | None
) -> str:
    """The script for hosts that register themselves by this enrollment token.

    Raises:
        BadUsage: the URL or the certificate is not one, or the URL leads every host to itself.
        NotConfigured: no API is configured.
    """
    url, pem, notes = _api_for_hosts(profile, api_url, ca_certificate)
    if api_url is None and notes:
        raise BadUsage(notes[0])
    try:
        return enrollment_script(api_url=url, enrollment_token=token, ca_certificate_pem=pem)
    except ValueError as problem:
        raise BadUsage(str(problem)) from problem


def _api_for_hosts(
    profile: Profile, api_url: str | None, ca_certificate: Path | None
) -> tuple[str, str, list[str]]:
    """The API's URL as hosts reach it, the CA that they are to trust, and what is to be said of it.

    Raises:
        BadUsage: there is no CA, or no certificate in its file.
        NotConfigured: no API is configured.
    """
    url = api_url or profile.endpoint_url("hatchway")
    notes = []
    if urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1"):
        notes.append(f"{url} leads to the host itself: give the API as the host reaches it with --api-url")
    authority = ca_certificate or (Path(profile.ca_bundle) if profile.ca_bundle else None)
    if authority is None:
        raise BadUsage("give the CA by which the host knows the API: --ca-certificate, or --ca-bundle")
    return url, read_certificate(authority), notes


def _asked(operation: str, ask: Callable[[], Mapping[str, Any]]) -> Plan:
    """
    Raises:
        BadFleet: the file is wrong or does not fit the account; it holds every problem.
        ApiError: the API refuses for another reason, or does not answer.
    """
    try:
        with api_errors(operation):
            return _plan(ask()["Plan"])
    except ApiError as refusal:
        answer = getattr(refusal.__cause__, "response", {})
        problems = [Problem(str(each["Place"]), str(each["Message"])) for each in answer.get("Problems", ())]
        if problems:
            raise BadFleet(problems) from refusal
        raise


def _plan(told: Mapping[str, Any]) -> Plan:
    changes = tuple(
        Change(
            action=Action(change["Action"]),
            kind=change["Kind"],
            name=change["Name"],
            id=change["Id"],
            fields=tuple(
                FieldChange(each["Field"], json.loads(each["Old"]), json.loads(each["New"]))
                for each in change.get("Fields", ())
            ),
            notes=tuple(change.get("Notes", ())),
        )
        for change in told["Changes"]
    )
    return Plan(changes=changes, unchanged=told["Unchanged"], writes=Writes())


def _lint(profile: Profile, fleet: Fleet, plan: Plan) -> tuple[Sequence[PolicyFinding], str | None]:
    facts = unchecked = None
    if not fleet.documents:
        return (), None
    try:
        facts = aws_facts()
    except ReferenceMissing as problem:
        unchecked = f"actions and condition keys of policies were not looked up: {problem}"
    account = fleet.account
    if account is None:
        client = profile.api("sts")
        with api_errors("GetCallerIdentity"):
            account = str(client.get_caller_identity()["Account"])
    findings = lint_policies(fleet, facts, Home(account, fleet.region or profile.region))
    return with_those_in_force(findings, list(in_force(fleet, plan))), unchecked


def in_force(fleet: Fleet, plan: Plan) -> Iterator[str]:
    """The texts of the file's documents that the account has already, as the plan does not bring them."""
    created, brought = [], set()
    for change in plan.changes:
        if change.kind in _SECTIONS and change.action is Action.CREATE:
            created.append(f"{_SECTIONS[change.kind]}.{change.name}")
        for field in change.fields:
            if isinstance(field.new, str) and field.new.lstrip().startswith("{"):
                brought.add(canonical_document(field.new))
    for document in fleet.documents:
        new = any(
            document.place == place or document.place.startswith((f"{place}.", f"{place} "))
            for place in created
        )
        if not new and canonical_document(document.text) not in brought:
            yield document.text
