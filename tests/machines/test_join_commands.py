"""`hatchway join`, `join-token` and `machine`, as an operator types them; what they do is tested in
`test_joining.py`."""

import hashlib
import io
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.in_process import Ran, run
from tests.gateway.account import ENDPOINT, endpoint
from tests.machines.site import Site

from hatchway.administration.joining import list_join_tokens, list_machines, remove_machine
from hatchway.control.housekeeping.tasks import lead
from hatchway.settings import DataDirectory
from hatchway.store.processes import leadership

NOBODY_THERE = "postgresql+psycopg://hatchway:pass-word@127.0.0.1:1/hatchway"
pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(autouse=True)
def without_machines(site: Site) -> Iterator[None]:
    yield
    for each in list_machines(site.installation):
        remove_machine(site.installation, each.id)


def here(site: Site, *arguments: str) -> Ran:
    """What a command says at the control plane."""
    return run(*arguments, "--data-dir", str(site.directory.path))


def told(site: Site, *arguments: str) -> dict[str, Any]:
    """The same, as JSON."""
    ran = here(site, *arguments, "--json")
    assert ran.code == 0, ran.errors
    answer: dict[str, Any] = json.loads(ran.output)
    return answer


def joined_as_json(*arguments: str) -> dict[str, Any]:
    """What a machine is told that has joined. Before it stands the control plane's log: it is one process."""
    answer: dict[str, Any] = json.loads(run(*arguments, "--json").output.splitlines()[-1])
    return answer


def token(site: Site, role: str = "control", *more: str) -> str:
    made = told(site, "join-token", "create", "--role", role, "--machine-store-url", NOBODY_THERE, *more)
    return str(made["token"])


def test_a_token_is_printed_once_with_what_to_type_on_the_new_machine(site: Site) -> None:
    more = ("--machine-store-url", NOBODY_THERE, "--uses", "3", "--lifetime", "600")
    made = here(site, "join-token", "create", "--role", "control", *more)
    assert made.code == 0
    (shown,) = re.findall(r"^  (\S+)$", made.output, re.MULTILINE)
    (token_id,) = re.findall(r"^Join token (\S+), valid for 3 uses until .* UTC:$", made.output, re.MULTILINE)
    url = f"https://127.0.0.1:{site.server.port}"
    typed = "On the new machine: hatchway join --api-url {} --data-dir /var/lib/hatchway -"
    assert typed.format("https://NAME:PORT") in made.output
    assert f"listens at {url}, where no other machine reaches it" in made.output
    listed = here(site, "join-token", "list").output
    assert re.search(rf"^{token_id}  control +0 of 3 ", listed, re.MULTILINE)
    assert shown.partition("_")[2] not in listed
    (kept,) = [
        each for each in told(site, "join-token", "list")["join_tokens"] if each["join_token_id"] == token_id
    ]
    assert (kept["role"], kept["uses"], kept["max_uses"]) == ("control", 0, 3)
    assert here(site, "join-token", "delete", token_id).output == f"{token_id} is deleted\n"
    assert token_id not in {each.id for each in list_join_tokens(site.installation)}
    again = here(site, "join-token", "delete", token_id)
    assert again.code == 1 and token_id in again.errors and "Traceback" not in again.errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--role", "gateway"), "give --machine-store-url, with the gateways' own database role"),
        (("--role", "king"), "--role 'king' is neither control nor gateway"),
        (("--role", "control"), "other machines cannot reach a store in SQLite: move to PostgreSQL first"),
        (("--role", "control", "--vpc", "lab", "--machine-store-url", NOBODY_THERE), "--vpc"),
        (
            ("--role", "gateway", "--vpc", "nowhere", "--machine-store-url", NOBODY_THERE),
            "--vpc 'nowhere': there is no such VPC",
        ),
        (
            ("--role", "control", "--name", "no host", "--machine-store-url", NOBODY_THERE),
            "--name 'no host' is not a host name",
        ),
        (("--role", "control", "--lifetime", "1"), "--lifetime"),
        (("--role", "control", "--uses", "0"), "--uses"),
    ],
)
def test_a_token_that_nobody_should_have_is_not_made(
    site: Site, arguments: tuple[str, ...], said: str
) -> None:
    before = list_join_tokens(site.installation)
    refused = here(site, "join-token", "create", *arguments)
    assert refused.code != 0 and refused.output == ""
    assert said in refused.errors and "Traceback" not in refused.errors
    assert list_join_tokens(site.installation) == before


def test_a_machine_is_told_what_it_has_become_and_that_it_does_not_reach_the_store(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not on the command line, where others on the machine could read it.
    monkeypatch.setattr("sys.stdin", io.StringIO(token(site) + "\n"))
    got = str(tmp_path / "cp")
    joined = run("join", "--api-url", site.url, "--data-dir", got, "--name", "CP.localhost", "-")
    assert joined.code == 0, joined.errors
    assert re.search(rf"^{got} now belongs to m-\w+, a control plane$", joined.output, re.MULTILINE)
    assert re.search(r"^Certificate: for .*\bcp\.localhost\b", joined.output, re.MULTILINE)
    assert f"Next: hatchway control --data-dir {got}\n" in joined.output
    assert "warning: the store cannot be used from here: " in joined.errors
    assert "pass-word" not in joined.output + joined.errors


def test_a_gateway_is_told_what_it_is_bound_to(site: Site, tmp_path: Path) -> None:
    with site.installation.store.write() as tx:
        tx.endpoints.put(endpoint(name="far", gateway_dns_name="far.localhost"))
    bound = token(site, "gateway", "--endpoint", "far", "--vpc", "lab")
    joined = run("join", bound, "--api-url", site.url, "--data-dir", str(tmp_path / "gw"))
    assert "VPCs: lab\nEndpoints: far\n" in joined.output
    where = ("--api-url", site.url, "--data-dir", str(tmp_path / "gw2"))
    answer = joined_as_json("join", token(site, "gateway"), *where)
    assert (answer["role"], answer["vpcs"], answer["endpoints"]) == ("gateway", [], [])
    assert answer["finished"] and answer["certificate"]
    assert "127.0.0.1" in answer["store_problem"] and "pass-word" not in answer["store_problem"]
    with site.installation.store.write() as tx:
        tx.endpoints.delete(ENDPOINT)


def test_a_machine_whose_certificate_comes_later_is_told_so(site: Site, tmp_path: Path) -> None:
    with site.without_the_cas_key():
        joined = run(
            "join",
            token(site),
            "--api-url",
            site.url,
            "--data-dir",
            str(tmp_path / "cp"),
            "--name",
            "cp.localhost",
        )
    assert "Certificate: not issued yet" in joined.output


def test_a_mistake_is_told_and_leaves_the_token_good(site: Site, tmp_path: Path) -> None:
    given, got = token(site), tmp_path / "cp"
    where = ("--data-dir", str(got))
    for arguments, said in (
        ((given, *where), "give --api-url, where the API is"),
        ((given, *where, "--again"), "does not belong to a machine that joined: leave out --again"),
        (
            (given, *where, "--api-url", site.url, "--user", "nobody-of-that-name"),
            "there is no such user" if os.geteuid() == 0 else "only root can give files away",
        ),
        ((given[:-3], *where, "--api-url", site.url), "token"),
        ((given, *where, "--api-url", "http://localhost:1"), "https"),
        ((given, *where, "--api-url", site.url, "--name", "cp.elsewhere"), "may not issue for cp.elsewhere"),
    ):
        refused = run("join", *arguments)
        assert refused.code != 0 and refused.output == "", arguments
        assert said in refused.errors and "Traceback" not in refused.errors, refused.errors
        assert not got.exists()
    assert run("join", given, *where, "--api-url", site.url).code == 0
    used = run("join", given, "--data-dir", str(tmp_path / "more"), "--api-url", site.url)
    assert used.code == 1 and "the join token is not valid, or has expired" in used.errors
    told_again = run("join", given, *where)
    assert "let it join again with --again" in told_again.errors
    refused = run("join", "--again", "--user", "root", given, *where)
    assert "--user is for a new directory" in refused.errors


def test_machines_are_listed_and_removed_by_name_or_id(site: Site, tmp_path: Path) -> None:
    names = {}
    for role in ("control", "gateway"):
        where = ("--api-url", site.url, "--data-dir", str(tmp_path / role))
        names[role] = joined_as_json("join", token(site, role), *where)["machine_id"]
    machines = {each["machine_id"]: each for each in told(site, "machine", "list")["machines"]}
    assert {names[role]: role for role in names} == {key: each["role"] for key, each in machines.items()}
    assert all(each["finished"] and each["certificate_expires_at"] for each in machines.values())
    listed = here(site, "machine", "list").output
    assert re.search(rf"^{names['gateway']}  \S+ +gateway +\d{{4}}-", listed, re.MULTILINE)
    for role, keys in (("gateway", "the gateway key"), ("control", "the master key and gateway key")):
        gone = here(site, "machine", "remove", names[role])
        assert f"{names[role]} (" in gone.output and f"It may still have {keys}" in gone.output
    missing = here(site, "machine", "remove", names["gateway"])
    assert missing.code == 1 and "Traceback" not in missing.errors


def test_a_token_comes_with_no_address_that_nobody_knows_yet(site: Site, tmp_path: Path) -> None:
    location = site.directory.api_location
    noted = location.read_text()
    create = ("join-token", "create", "--role", "control", "--machine-store-url", NOBODY_THERE)
    try:
        location.unlink()
        made = here(site, *create)
        assert "127.0.0.1" not in made.output
        assert "the API of this machine has not run yet" in made.output
        assert told(site, *create)["api_url"] is None
        location.write_text(noted.replace("127.0.0.1", "hatchway.example"))
        known = here(site, *create)
        assert f"--api-url https://hatchway.example:{site.server.port} --data-dir" in known.output
        assert "NAME" not in known.output
    finally:
        location.write_text(noted)


def test_no_control_plane_takes_the_place_of_a_first_machine_that_lives(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = DataDirectory(tmp_path / "cp")
    assert run("join", token(site), "--api-url", site.url, "--data-dir", str(got.path)).code == 0
    shutil.copy(site.directory.ca_key, got.ca_key)
    command = ("machine", "promote", "--data-dir", str(got.path), "--store-url", site.directory.store_url)
    monkeypatch.setattr(leadership, "LOOK", 0.01)
    monkeypatch.setattr(leadership, "RENEWAL", 0.01)
    first = lead(site.plane, None, is_first=True)
    first.start()
    try:
        refused = run(*command)
        assert refused.code == 1
        assert f"the first machine still runs: its control plane on {socket.gethostname()}" in refused.errors
        assert "--force" in refused.errors
        assert got.machine.exists()
    finally:
        first.stop()
    assert run(*command).code == 0


def test_who_knows_better_is_not_asked_whether_the_first_machine_lives(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = DataDirectory(tmp_path / "cp")
    assert run("join", token(site), "--api-url", site.url, "--data-dir", str(got.path)).code == 0
    shutil.copy(site.directory.ca_key, got.ca_key)
    monkeypatch.setattr("hatchway.installation.first_machine.living_leader", None)
    store = ("--store-url", site.directory.store_url)
    assert run("machine", "promote", "--force", "--data-dir", str(got.path), *store).code == 0


def test_a_control_plane_that_joined_is_made_the_first_machine(site: Site, tmp_path: Path) -> None:
    got = DataDirectory(tmp_path / "cp")
    assert run("join", token(site), "--api-url", site.url, "--data-dir", str(got.path)).code == 0
    shutil.copy(site.directory.ca_key, got.ca_key)
    store = ("--store-url", site.directory.store_url)
    promoted = run("machine", "promote", "--data-dir", str(got.path), *store)
    assert promoted.output == f"{got.path} now belongs to the first machine: restart its server\n"
    again = run("machine", "promote", "--data-dir", str(got.path), *store)
    assert "it is already the first one" in again.errors


@pytest.mark.parametrize(
    ("interruption", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_one_that_is_interrupted_says_that_nothing_is_in_place_and_how_to_go_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: BaseException, code: int
) -> None:
    def interrupted(*_question: Any) -> None:
        raise interruption

    given, got = token(site), tmp_path / "cp"
    with monkeypatch.context() as patched:
        patched.setattr("hatchway.machines.joining.post", interrupted)
        ran = run("join", given, "--api-url", site.url, "--data-dir", str(got))
    assert (ran.code, ran.output) == (code, "")
    assert ran.errors.startswith("hatchway: interrupted, nothing is in place: to continue, run the same")
    assert [file.name for file in got.iterdir()] == [".unfinished-join"]
    assert run("join", given, "--api-url", site.url, "--data-dir", str(got)).code == 0


def test_one_that_was_killed_when_all_was_in_place_is_finished_by_the_same_command_and_no_other(
    site: Site, tmp_path: Path
) -> None:
    given, got = token(site), tmp_path / "cp"
    command = ("join", given, "--data-dir", str(got), "--api-url", site.url)
    first = joined_as_json(*command)
    secret = given.partition(".")[0]
    kept = {
        "token_sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "private_key": json.loads((got / "machine.json").read_text())["private_key"],
    }
    left = got / ".unfinished-join"
    left.write_text(json.dumps(kept))
    left.chmod(0o600)
    files = {path.name: path.read_bytes() for path in got.iterdir() if path != left}
    other = run("join", token(site), *command[2:])
    assert other.code == 1 and "start its server, or let it join again with --again" in other.errors
    assert left.exists()
    assert joined_as_json(*command) == first
    assert {path.name: path.read_bytes() for path in got.iterdir()} == files
    again = run(*command)
    assert again.code == 1 and "start its server, or let it join again with --again" in again.errors
