import base64
import hashlib
import json
import os
import re
import shlex
import sqlite3
import ssl
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cli.commands import hatchway


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    directory = tmp_path_factory.mktemp("init") / "data"
    done = hatchway(
        *("init", "--data-dir", str(directory), "--account", "123456789012", "--region", "eu-west-1"),
        *("--gateway-dns-name", "gateway.example.com", "--json"),
    )
    assert done.returncode == 0, done.stderr
    return directory, json.loads(done.stdout)


def test_json_is_exactly_the_five_fields(made: tuple[Path, dict[str, str]]) -> None:
    directory, answer = made
    assert list(answer) == ["account", "region", "access_key_id", "secret_access_key", "ca_certificate"]
    assert answer["account"] == "123456789012"
    assert answer["region"] == "eu-west-1"
    assert answer["ca_certificate"] == str(directory / "ca.pem")
    assert len(answer["access_key_id"]) == 20
    assert len(answer["secret_access_key"]) == 40


def test_nobody_but_the_owner_can_read_what_is_secret(made: tuple[Path, dict[str, str]]) -> None:
    directory, _ = made
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {
        "hatchway.db": 0o600,
        "master.key": 0o600,
        "gateway.key": 0o600,
        "ca.key": 0o600,
        "server.pem": 0o600,
        "ca.pem": 0o644,
    }


def test_the_secret_of_the_root_key_is_not_in_the_store(made: tuple[Path, dict[str, str]]) -> None:
    directory, answer = made
    content = (directory / "hatchway.db").read_bytes()
    assert answer["access_key_id"].encode() in content
    assert answer["secret_access_key"].encode() not in content


def test_the_keys_that_it_makes_are_in_the_audit_trail(made: tuple[Path, dict[str, str]]) -> None:
    directory, answer = made
    with sqlite3.connect(directory / "hatchway.db") as store:
        bodies = [body for (body,) in store.execute("SELECT body FROM audit_records")]
    events = {event["eventName"]: event for event in map(json.loads, bodies)}
    assert set(events) == {"CreateInstallation", "CreateAccessKey"}
    created = events["CreateAccessKey"]
    assert created["responseElements"] == {
        "accessKey": {"accessKeyId": answer["access_key_id"], "status": "Active"}
    }
    assert created["userIdentity"]["type"] == "Root"
    assert created["userIdentity"]["userName"].startswith("os-user/")
    keys = events["CreateInstallation"]["responseElements"]
    assert set(keys) == {"masterKeyId", "gatewayKeyId", "certificateAuthority"}
    der = ssl.PEM_cert_to_DER_cert((directory / "ca.pem").read_text())
    assert keys["certificateAuthority"] == hashlib.sha256(der).hexdigest()
    secrets = [answer["secret_access_key"]] + [
        (directory / name).read_text().strip() for name in ("master.key", "gateway.key")
    ]
    assert not [secret for secret in secrets if any(secret in body for body in bodies)]


def test_the_server_certificate_is_what_the_ca_vouches_for(made: tuple[Path, dict[str, str]]) -> None:
    directory, _ = made
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(directory / "server.pem")
    client_side = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    for name in ("gateway.example.com", "localhost", "127.0.0.1", "::1"):
        assert shake_hands(server_side, client_side, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_side, client_side, "other.example.com")


def shake_hands(server_side: ssl.SSLContext, client_side: ssl.SSLContext, name: str) -> bool:
    """A TLS handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    unfinished = {server, client}
    for _ in range(10):
        for end in tuple(unfinished):
            try:
                end.do_handshake()
                unfinished.discard(end)
            except ssl.SSLWantReadError:
                continue
    return not unfinished


def test_a_directory_with_a_store_is_left_as_it_is(made: tuple[Path, dict[str, str]]) -> None:
    directory, _ = made
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    again = hatchway("init", "--data-dir", str(directory))
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"hatchway: {directory} already has a store: give another --data-dir\n"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_one_that_was_killed_before_it_showed_roots_key_says_how_to_have_it(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    assert hatchway("init", "--data-dir", str(directory)).returncode == 0
    (directory / ".unfinished").write_text("localhost")
    again = hatchway("init", "--data-dir", str(directory))
    assert again.returncode == 1
    assert "hatchway access-key rotate --root --at-once" in again.stderr


def test_unattended_it_makes_no_key_and_leaves_alone_what_is_there(tmp_path: Path) -> None:
    variables = {"HATCHWAY_DATA_DIR": str(tmp_path / "data")}
    answers = []
    for _ in range(2):
        done = hatchway("init", "--unattended", "--account", "123456789012", "--json", variables=variables)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    made = {"account": "123456789012", "region": "us-east-1"}
    assert answers == [{**made, "created": True}, {**made, "created": False}]
    with sqlite3.connect(tmp_path / "data" / "hatchway.db") as store:
        assert store.execute("SELECT count(*) FROM access_keys").fetchone() == (0,)
    other = hatchway("init", "--unattended", "--account", "210987654321", variables=variables)
    assert other.returncode == 1
    assert "the store holds account 123456789012, not 210987654321" in other.stderr
    named = hatchway("init", "--unattended", "--gateway-dns-name", "gw.example", variables=variables)
    assert named.returncode == 0
    assert named.stderr == (
        "hatchway: warning: account 123456789012 already exists, and its gateway DNS name stays localhost,"
        " not gw.example\n"
    )
    key = hatchway("access-key", "create", "--root", variables=variables)
    assert key.returncode == 0, key.stderr


@pytest.mark.parametrize("keys", ["files", "environment"])
def test_unattended_it_leaves_an_account_in_a_database_alone_whatever_lies_in_the_directory(
    tmp_path: Path, keys: str
) -> None:
    """As it is where a container that has made the account is started again."""
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    variables = {"HATCHWAY_DATA_DIR": str(tmp_path / "data"), "HATCHWAY_STORE_URL": url}
    if keys == "environment":
        variables["HATCHWAY_MASTER_KEY"] = base64.b64encode(os.urandom(32)).decode()
    answers, files = [], []
    for _ in range(2):
        done = hatchway("init", "--unattended", "--json", variables=variables)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
        files.append({path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()})
    assert [answer["created"] for answer in answers] == [True, False]
    assert answers[0]["account"] == answers[1]["account"]
    assert files[0] == files[1]


@pytest.mark.parametrize("unattended", [(), ("--unattended",)])
def test_of_several_at_once_one_makes_the_installation(tmp_path: Path, unattended: tuple[str, ...]) -> None:
    variables = {"HATCHWAY_DATA_DIR": str(tmp_path / "data")}
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(hatchway, "init", "--json", *unattended, variables=variables) for _ in range(3)]
    done = [run.result() for run in runs]
    answers = [json.loads(each.stdout) for each in done if each.returncode == 0]
    made = [answer for answer in answers if answer.get("created", True)]
    assert len(made) == 1
    assert len(answers) == (3 if unattended else 1)
    assert {answer["account"] for answer in answers} == {made[0]["account"]}
    with sqlite3.connect(tmp_path / "data" / "hatchway.db") as store:
        assert store.execute("SELECT id FROM accounts").fetchall() == [(made[0]["account"],)]
    key = hatchway("access-key", "create", "--root", variables=variables)
    assert key.returncode == 0, key.stderr


def test_what_a_killed_init_has_left_goes(tmp_path: Path) -> None:
    left = tmp_path / "data" / ".init-abcdefgh"
    left.mkdir(parents=True)
    (left / "master.key").write_text("of nothing")
    assert hatchway("init", "--data-dir", str(tmp_path / "data")).returncode == 0
    assert not left.exists()


_KILLED = """
import os, sys
from hatchway.cli.main import main
from hatchway.installation import creation

move, at, moves = creation._move, int(sys.argv.pop(1)), []

def killed(paths, *arguments):
    for path in paths:
        if len(moves) == at:
            os._exit(9)
        moves.append(path)
        move([path], *arguments)
    if len(moves) == at == 5:
        os._exit(9)

creation._move = killed
main()
"""


@pytest.mark.parametrize(
    ("moves", "elsewhere"), [(0, False), (1, False), (3, False), (5, False), (2, True), (5, True)]
)
def test_an_init_that_was_killed_is_gone_on_with_by_the_next(
    tmp_path: Path, moves: int, elsewhere: bool
) -> None:
    data = tmp_path / "data"
    url = ("--store-url", f"sqlite:///{tmp_path}/elsewhere.db") if elsewhere else ()
    command = ["init", "--data-dir", str(data), "--gateway-dns-name", "gateway.example", *url]
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(moves), *command], check=False)
    assert killed.returncode == 9
    kept = {path.name: path.read_bytes() for path in data.glob("*.key")}
    assert len(kept) == min(moves, 3)
    # With another name it would be another CA.
    other = hatchway(*command[: -len(url) - 1], "other.example", *url)
    assert (other.returncode, "finish it with --gateway-dns-name gateway.example" in other.stderr) == (
        1,
        True,
    )

    done = hatchway(*command)
    assert done.returncode == 0, done.stderr
    found = {path.name: path.read_bytes() for path in data.glob("*.key")}
    assert sorted(found) == ["ca.key", "gateway.key", "master.key"]
    for name in {"master.key", "gateway.key"} & kept.keys():
        assert found[name] == kept[name]
    assert not list(data.glob(".*"))
    again = hatchway("access-key", "list", "--root", "--data-dir", str(data), *url)
    assert again.returncode == 0, again.stderr
    assert hatchway(*command).returncode == 1


def test_a_store_that_holds_an_account_is_not_brought_to_another_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    assert hatchway("init", "--data-dir", str(tmp_path / "data"), "--store-url", url).returncode == 0
    with sqlite3.connect(tmp_path / "elsewhere.db") as store:
        # As if it were an older version's, whose servers run.
        store.execute("UPDATE alembic_version SET version_num = '0001'")
    done = hatchway("init", "--data-dir", str(tmp_path / "other"), "--store-url", url)
    assert done.returncode == 1
    assert "the store already contains account" in done.stderr
    assert not (tmp_path / "other").exists()
    with sqlite3.connect(tmp_path / "elsewhere.db") as store:
        assert store.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def test_what_is_to_be_done_next_can_be_pasted_wherever_the_directory_is(tmp_path: Path) -> None:
    directory = tmp_path / "it's here (new)"
    missing = hatchway("serve", "--data-dir", str(directory))
    done = hatchway("init", "--data-dir", str(directory))
    assert done.returncode == 0, done.stderr
    command = ["hatchway", "init", "--data-dir", str(directory)]
    assert shlex.split(missing.stderr.rpartition(": create one with ")[2]) == command
    command[1] = "serve"
    assert shlex.split(done.stdout.rpartition("Next: ")[2]) == command


def test_a_random_account_has_12_digits_and_the_secret_is_printed_once(tmp_path: Path) -> None:
    done = hatchway("init", variables={"HATCHWAY_DATA_DIR": str(tmp_path / "data")})
    assert done.returncode == 0, done.stderr
    account = done.stdout.split()[1]
    assert len(account) == 12
    assert account.isdigit()
    assert done.stdout.count("aws_secret_access_key = ") == 1
    *_, secret, following = done.stdout.splitlines()
    assert re.fullmatch(r"  aws_secret_access_key = [A-Za-z0-9+/]{40}", secret)
    assert following == f"Next: hatchway serve --data-dir {tmp_path / 'data'}"
    with sqlite3.connect(tmp_path / "data" / "hatchway.db") as store:
        assert store.execute("SELECT id, region, gateway_dns_name FROM accounts").fetchall() == [
            (account, "us-east-1", "localhost")
        ]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--account", "12345"),
        ("--region", "Narnia"),
        ("--gateway-dns-name", "gateway.example.com:443"),
        ("--gateway-dns-name", "10.0.0.1"),
        ("--no-such-option",),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line_and_makes_nothing(
    tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    done = hatchway("init", "--data-dir", str(tmp_path / "data"), *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_without_a_data_directory_it_says_what_to_give() -> None:
    done = hatchway("init")
    assert done.returncode == 2
    assert "--data-dir" in done.stderr
    assert "HATCHWAY_DATA_DIR" in done.stderr


def test_an_init_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    done = hatchway(
        "init", "--data-dir", str(tmp_path / "data"), "--store-url", "sqlite:////nowhere/at/all.db"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("hatchway: cannot use the store")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_an_empty_directory_is_used_and_closed_to_others(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o755)
    assert hatchway("init", "--data-dir", str(directory)).returncode == 0
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", [".bashrc", ".git", "gateway.key", "hatchway.db-wal"])
def test_a_directory_of_other_files_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("somebody's")
    tmp_path.chmod(0o755)
    done = hatchway("init", "--data-dir", str(tmp_path))
    assert done.returncode == 1 and f"is not empty, it contains {name}: give" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "somebody's" and tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_new_file_system_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    assert hatchway("init", "--data-dir", str(tmp_path)).returncode == 0


def test_keys_without_a_store_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("precious")
    done = hatchway("init", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]
    assert (tmp_path / "master.key").read_text() == "precious"


def test_the_password_of_a_store_url_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql+psycopg://hatchway:hunter2@127.0.0.1:1/hatchway"
    done = hatchway("init", "--data-dir", str(tmp_path / "data"), "--store-url", url)
    assert done.returncode == 1
    assert "hunter2" not in done.stderr
    assert done.stderr.count("\n") == 1
