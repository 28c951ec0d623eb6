"""Commands about policies: what they allow and why, whether they do as their tests say, what is odd in them.

All of them end with 0 when all is well, 1 when it is not (denied, a failed test, a finding), 2 on an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.ending import errors_are_no_answers
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from hatchway.installation.installation import Installation


class LintFormat(StrEnum):
    """How findings are told."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)
    app.command("explain")(explain)
    app.command("lint")(lint)
    policy = typer.Typer(help="Test policies in files.", rich_markup_mode=None)
    policy.command("test")(test)
    # Without this, typer would make the one command the group itself.
    policy.callback()(_group)
    app.add_typer(policy, name="policy")


def _group() -> None:
    """A group of commands."""


@errors_are_no_answers()
def simulate(
    *,
    policy: Annotated[
        list[Path] | None,
        typer.Option("--policy", metavar="FILE", help="An identity policy; may be given more than once."),
    ] = None,
    boundary: Annotated[
        Path | None, typer.Option("--boundary", metavar="FILE", help="The permissions boundary.")
    ] = None,
    guardrail: Annotated[
        list[Path] | None,
        typer.Option("--guardrail", metavar="FILE", help="A guardrail; may be given more than once."),
    ] = None,
    action: Annotated[
        list[str],
        typer.Option("--action", metavar="SERVICE:ACTION", help="The action to check; repeatable."),
    ],
    resource: Annotated[
        list[str] | None,
        typer.Option(
            "--resource", metavar="ARN", help="The resource to check; repeatable.", show_default="'*'"
        ),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            metavar="KEY=VALUE",
            help="A condition key of the request; repeatable. Repeat a key to give it several values.",
        ),
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option(
            "--principal",
            metavar="NAME|ARN",
            help="A user, role or group of the account, with all its policies. --policy and"
            " --guardrail add to these, --boundary replaces its own.",
        ),
    ] = None,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Say whether policies allow a request, and why.

    Works on policy files, or on a principal of the account. Exits with 0 if every action is allowed on every
    resource, with 1 if one is denied, with 2 on an error.

    \b
    Examples:
      hatchway simulate --policy connect.json --action ec2-instance-connect:OpenTunnel \\
        --resource arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-0123456789abcdef0 \\
        --context ec2-instance-connect:remotePort=22
      hatchway simulate --data-dir /var/lib/hatchway --principal alice --action ec2:DescribeInstances
    """
    from functools import partial

    from hatchway.access.context import completed_keys, supposed_keys
    from hatchway.policies.simulation import (
        ask,
        overall,
        policies_in_files,
        read_context,
        unknown_actions,
    )

    if principal is None and not policy:
        raise BadUsage("nothing to simulate: give --policy FILE, or --principal and --data-dir")
    keys = read_context(context or ())
    policies = policies_in_files(policy or (), boundary, guardrail or ())
    account = region = ""
    if principal is not None:
        from hatchway.policies.principal import policies_of, read_entity

        with _installation(data_dir, store_url) as installation:
            entity = read_entity(installation, principal)
            account, region = installation.account.id, installation.account.region
        keys = completed_keys(keys, entity.keys)
        policies = policies_of(entity, policies)
    suppose = partial(supposed_keys, account=account, region=region, now=datetime.now(UTC))
    answers = ask(policies, action, resource or ("*",), keys, suppose)
    for note in unknown_actions(action):
        say(f"hatchway: {note}", err=True)
    outcome = overall(answer.decision for answer in answers)
    if json:
        import json as json_format

        content = {"outcome": str(outcome), "decisions": [answer.to_json() for answer in answers]}
        say(json_format.dumps(content))
    else:
        from hatchway.cli.policy_tree import decision_tree, names_by_layer, show

        names = names_by_layer(policies)
        show(decision_tree(answer.decision, names, answer.missing) for answer in answers)
    raise typer.Exit(0 if outcome == "allowed" else 1)


@with_option_groups
@errors_are_no_answers()
def explain(
    request_id: Annotated[
        str | None,
        typer.Argument(
            metavar="REQUEST-ID|USER",
            help="The request id that the client was shown, or its beginning; with --last, the user"
            " who was denied.",
        ),
    ] = None,
    *,
    last: Annotated[
        bool, typer.Option("--last", help="The latest denial: anybody's on the server, otherwise your own.")
    ] = False,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
    caller: CallerArguments,
) -> None:
    """Say why a call was allowed or refused, or a tunnel was cut.

    With --data-dir it reads the audit trail in the store, on the server: a request, or the latest denial of
    anybody or of one user. Without it, it asks the API why you were denied: in a given request, or most
    recently. That needs the permission hatchway:ExplainDenial on yourself; others' denials need it on '*'.

    Exits with 0 if the request was allowed, with 1 if it was refused, with 2 on an error.

    \b
    Examples:
      hatchway explain
      hatchway explain 1f0c2a9e-6f0e-4d0c-9d55-0d8ac5c4d3f1 --data-dir /var/lib/hatchway
      hatchway explain --last alice --data-dir /var/lib/hatchway
    """
    if data_dir is None or caller.given:
        if last and request_id is not None:
            raise BadUsage("--last USER asks the store: run it on the server, with --data-dir")
        from hatchway.client.api.profile import Profile
        from hatchway.client.errors import NotConfigured
        from hatchway.policies.events import explain_own

        with client_errors():
            try:
                explained = explain_own(Profile(caller.options()), request_id)
            except NotConfigured as problem:
                # Most likely this is the server, where nobody has a profile.
                raise BadUsage(f"{problem}; on the server, give --data-dir DIR instead") from problem
    else:
        from hatchway.policies.store_events import explain_last, explain_request

        with _installation(data_dir, store_url) as installation:
            if last or request_id is None:
                explained = explain_last(installation.store, request_id)
            else:
                explained = explain_request(installation.store, request_id)
    if json:
        import json as json_format

        say(json_format.dumps(explained.to_json()))
    else:
        from rich.text import Text

        from hatchway.cli.policy_tree import decision_tree, show
        from hatchway.cli.printable import printable

        show(Text(printable(sentence)) for sentence in explained.sentences)
        show(decision_tree(decision) for decision in explained.decisions)
    raise typer.Exit(0 if explained.outcome == "allowed" else 1)


@errors_are_no_answers()
def test(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory with YAML files of cases, or one such file.")
    ],
    *,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write the results as JUnit XML.")
    ] = None,
) -> None:
    """Test policies against YAML files of expected decisions.

    Exits with 0 if every case passes, with 1 if one fails, with 2 if a file cannot be read.

    \b
    Example:
      hatchway policy test examples/policy-tests --junit results.xml
    """
    from rich.text import Text

    from hatchway.cli.policy_tree import decision_tree, show
    from hatchway.cli.printable import printable
    from hatchway.domain.counting import counted
    from hatchway.policies.cases import junit_xml, read_directory, run_case

    results = [run_case(case) for case in read_directory(directory)]
    for result in results:
        style = "green" if result.passed else "red"
        verdict = Text("pass " if result.passed else "FAIL ", style)
        show([verdict.append(printable(f"{result.case.file}: {result.case.name}"), "default")])
        if not result.passed:
            show([Text(f"     {printable(result.problem)}"), decision_tree(result.decision)])
    failed = sum(not result.passed for result in results)
    show([Text(f"{counted(len(results), 'case')}, {failed} failed", "red" if failed else "green")])
    if junit is not None:
        try:
            junit.write_text(junit_xml(results), encoding="utf-8")
        except OSError as problem:
            raise BadUsage(f"cannot write {junit}: {problem.strerror}") from problem
    raise typer.Exit(1 if failed else 0)


@errors_are_no_answers()
def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Policy documents.")],
    *,
    form: Annotated[
        LintFormat,
        typer.Option(
            "--format", help="Text for people, JSON for programs, or SARIF for code hosts and editors."
        ),
    ] = LintFormat.TEXT,
    trust: Annotated[bool, typer.Option("--trust", help="The files are trust policies of roles.")] = False,
) -> None:
    """Find likely mistakes in policies.

    Exits with 0 if there are only notes or nothing, with 1 if there is more, with 2 on an error.

    \b
    Examples:
      hatchway lint policies/*.json
      hatchway lint --format sarif connect.json > findings.sarif
    """
    from hatchway.iam import PolicyKind
    from hatchway.policies.lint import RENDERERS, lint_files, worth_failing

    linted = lint_files(files, PolicyKind.TRUST if trust else PolicyKind.IDENTITY)
    # Split at line feeds alone: within a JSON text other line ends may stand as they are.
    for line in RENDERERS[form](linted).split("\n")[:-1]:
        say(line)
    raise typer.Exit(1 if worth_failing(linted) else 0)


@contextmanager
def _installation(data_dir: Path | None, store_url: str | None) -> Iterator["Installation"]:
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        yield installation
