"""A server that root starts and that goes on as somebody else."""

import atexit
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.cli.commands import environment, hatchway
from tests.cli.conftest import Installed, Server
from tests.e2e.processes import lives

from hatchway import privileges
from hatchway.audit.export import Export, FileNotWritten
from hatchway.installation.api_location import ApiLocation
from hatchway.keys.key_files import MASTER_KEY
from hatchway.pki.certificates import certificate_names
from hatchway.privileges import as_owner_of, read_as_owner
from hatchway.settings import DataDirectory
from hatchway.store import Store

USER = "nobody"

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

BECOME = """
import ctypes, encodings.idna, os, signal, socket, sys
from hatchway.privileges import become
libc = ctypes.CDLL(None)
libc.prctl(1, signal.SIGUSR1, 0, 0, 0)
listening = socket.create_server(("127.0.0.1", 0))
become(sys.argv[1])
number = ctypes.c_int(0)
libc.prctl(2, ctypes.byref(number), 0, 0, 0)
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()), number.value)
print(*(fields[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs")))
socket.create_connection(listening.getsockname()).close()
for way_back in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: socket.socket(socket.AF_PACKET)):
    try:
        way_back()
    except PermissionError:
        print("no")
"""


def test_a_program_that_its_user_may_not_read_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda file, _mode: not str(file).endswith("privileges.py"))
    with capture_logs() as logs:
        privileges._tell_of_unreadable_program("hatchway")
    assert [(each["event"], each["user"]) for each in logs] == [("program may not be read", "hatchway")]
    assert logs[0]["file"].endswith("hatchway/privileges.py")


@root_only
def test_a_process_becomes_a_user_for_good_and_keeps_no_capability() -> None:
    entry = pwd.getpwnam(USER)
    done = subprocess.run(
        [sys.executable, "-c", BECOME, USER], env=environment(), capture_output=True, text=True, check=True
    )
    ids = (entry.pw_uid,) * 3, (entry.pw_gid,) * 3
    groups = sorted(os.getgrouplist(USER, entry.pw_gid))
    assert done.stdout.splitlines() == [
        f"{ids[0]} {ids[1]} {groups} {int(signal.SIGUSR1)}",
        f"{'0' * 16} {'0' * 16} {'0' * 16} {'0' * 16} 1",
        *["no"] * 3,
    ]


@root_only
def test_a_process_keeps_the_one_capability_that_it_asks_for() -> None:
    program = f"""
import socket, sys
from hatchway.privileges import CAP_NET_RAW, become
become({USER!r}, keep=CAP_NET_RAW)
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(*(int(fields[name], 16) == 1 << CAP_NET_RAW for name in ("CapEff", "CapPrm")))
print(int(fields["CapInh"], 16), int(fields["CapAmb"], 16))
socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["True True", "0 0"]


@cache
def python_for(user: str) -> tuple[list[str], dict[str, str]] | None:
    """A Python that this user can run Hatchway with: the tests' own may be where only root can go."""
    for candidate, paths in (
        (sys.executable, _packages),
        ("/usr/bin/python3", _packages),
        ("/usr/bin/python3", readable_packages),
    ):
        variables = {"PYTHONPATH": os.pathsep.join(paths())}
        with suppress(OSError):
            tried = subprocess.run(
                [candidate, "-c", "import hatchway.cli.main, hatchway.gateway, hatchway.control.process"],
                env=variables, cwd="/", user=user, group=user_group(user), extra_groups=[],
                capture_output=True, check=False, timeout=60,
            )  # fmt: skip
            if tried.returncode == 0:
                return [candidate, "-m", "hatchway"], variables
    return None


def program_for(user: str) -> tuple[list[str], dict[str, str]]:
    """That, or the test is skipped."""
    found = python_for(user)
    if found is None:
        pytest.skip(f"{user} can run no Python that is here")
    return found


def _packages() -> list[str]:
    return [path for path in sys.path if path and not path.startswith(sys.base_prefix)]


@cache
def readable_packages() -> list[str]:
    """Hatchway and what it needs, where everybody can read them: a clone in /root is for root alone."""
    there = tempfile.TemporaryDirectory(prefix="packages-")
    atexit.register(there.cleanup)
    Path(there.name).chmod(0o755)
    sources = [path for path in map(Path, sys.path) if path.name in {"src", "site-packages"}]
    for number, source in enumerate(sources):
        shutil.copytree(source, Path(there.name, str(number)), copy_function=_link, symlinks=True)
    return [str(Path(there.name, str(number))) for number in range(len(sources))]


def _link(source: str, there: str) -> None:
    try:
        os.link(source, there)
    except OSError:
        # With its time, by which its bytecode knows it.
        shutil.copy2(source, there)


def user_group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


@pytest.fixture
def owned(installed: Installed) -> Iterator[Installed]:
    """The same installation where another user can go, and his."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        data = Path(directory, "data")
        shutil.copytree(installed.directory, data)
        for path in (data, *data.iterdir()):
            shutil.chown(path, USER, user_group(USER))
        yield Installed(data, {**installed.variables, "HATCHWAY_DATA_DIR": str(data)})


def uids(pid: int) -> set[int]:
    (line,) = [
        each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("Uid:")
    ]
    return {int(word) for word in line.split()[1:]}


def children_by_plane(server: Server) -> list[int]:
    """The process ids of the control plane and of the gateway worker."""

    def plane(pid: int) -> int:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return next(number for number, name in enumerate((b"control", b"gateway")) if name in words)

    return sorted(server.children, key=plane)


def environ_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    return dict(pair.split("=", 1) for pair in pairs)


@root_only
def test_serve_listens_as_root_and_serves_as_the_user(owned: Installed, tmp_path: Path) -> None:
    program, variables = program_for(USER)
    # As if it were due for renewal: it is root who writes the new one.
    (owned.directory / "server.pem").unlink()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*program, "serve", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--user", USER],
            env={
                **environment(owned.variables),
                **variables,
                MASTER_KEY.variable: (owned.directory / "master.key").read_text().strip(),
            },
            cwd="/", stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), (tmp_path / "log").read_text()
        server = Server(process, dict(word.split("=", 1) for word in line.split()[1:]))
        assert [uids(pid) for pid in server.children] == [{pwd.getpwnam(USER).pw_uid}] * 2
        # A busy machine may not have the first handshake done in time.
        while not answers(server):
            time.sleep(0.05)

        # A worker that died is root's again until it has its port.
        worker = children_by_plane(server)[1]
        os.kill(worker, signal.SIGKILL)
        while worker in server.children or len(server.children) < 2:
            time.sleep(0.01)
        while not answers(server):
            time.sleep(0.01)
        assert [uids(pid) for pid in server.children] == [{pwd.getpwnam(USER).pw_uid}] * 2
        owner = {path.name: path.owner() for path in owned.directory.iterdir()}
        # Read before the processes became the user's, who has no way to them.
        assert {name for name, who in owner.items() if who != USER} == {"master.key", "ca.key"}, owner
        assert owner["master.key"] == owner["ca.key"] == "root"
        told = [environ_of(pid) for pid in children_by_plane(server)]
        assert [MASTER_KEY.variable in variables for variables in told] == [True, False]
        children = server.children
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        while any(lives(pid) for pid in children):
            time.sleep(0.01)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@root_only
@pytest.mark.parametrize("command", [("serve", "--gateway", "127.0.0.1:0"), ("control",)])
def test_root_opens_no_store_to_which_a_link_of_the_user_leads(
    command: tuple[str, ...], owned: Installed, tmp_path: Path
) -> None:
    program, variables = program_for(USER)
    store, secret = owned.directory / "hatchway.db", tmp_path / "of-root" / "hatchway.db"
    secret.parent.mkdir(mode=0o700)
    store.unlink()
    store.symlink_to(secret)
    # To SQLite a database, in which whoever opens it makes the tables.
    secret.touch()
    done = subprocess.run(
        [*program, *command, "--api", "127.0.0.1:0", "--user", USER],
        env={**environment(owned.variables), **variables}, cwd="/", capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"cannot use the store {store}" in done.stderr
    assert "ready" not in done.stdout
    assert secret.stat().st_size == 0
    assert list(secret.parent.iterdir()) == [secret]


COMMANDS = {
    "export": ("export",),
    "access-key": ("access-key", "create", "alice"),
    "migrate": ("migrate",),
    "machine": ("machine", "list"),
    "master-key": ("master-key", "rotate", "--step", "add"),
    "ca": ("ca", "rotate", "--step", "add"),
    "backup": ("backup", "{elsewhere}/backup"),
    "copy": ("store", "copy", "sqlite:///{store}", "sqlite:///{elsewhere}/copy.db"),
}


def command_line(command: str, owned: Installed, elsewhere: Path) -> list[str]:
    places = {"store": owned.directory / "hatchway.db", "elsewhere": elsewhere}
    return [word.format_map(places) for word in COMMANDS[command]]


@root_only
@pytest.mark.parametrize(
    ("command", "ending"), [*((each, "") for each in COMMANDS), ("export", "-wal"), ("export", "-shm")]
)
def test_no_command_of_root_s_follows_a_link_of_the_user_s_in_the_place_of_the_store(
    command: str, ending: str, owned: Installed, tmp_path: Path
) -> None:
    linked, secret = owned.directory / f"hatchway.db{ending}", tmp_path / "of-root" / "secret"
    secret.parent.mkdir(mode=0o700)
    linked.unlink(missing_ok=True)
    linked.symlink_to(secret)
    secret.touch()
    done = owned.run(*command_line(command, owned, tmp_path))
    assert done.returncode == 1, done.stdout
    assert str(owned.directory / "hatchway.db") in done.stderr
    assert secret.stat().st_size == 0
    assert list(secret.parent.iterdir()) == [secret]


@root_only
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_root_s_works_on_a_user_s_store_and_leaves_him_all_files(
    command: str, owned: Installed, tmp_path: Path
) -> None:
    # As where a server was started with --user.
    for key in ("master.key", "ca.key"):
        os.chown(owned.directory / key, 0, 0)
    with sqlite3.connect(owned.directory / "hatchway.db") as held:
        # So that the log and its index stay, to be looked at.
        held.execute("SELECT count(*) FROM sqlite_master").fetchone()
        for path in owned.directory.glob("hatchway.db-*"):
            shutil.chown(path, USER, user_group(USER))
        done = owned.run(*command_line(command, owned, tmp_path))
        assert done.returncode == (1 if command == "copy" else 0), done.stderr
        if command == "copy":
            assert "is in use" in done.stderr
    held.close()
    if command == "copy":
        done = owned.run(*command_line(command, owned, tmp_path))
        assert done.returncode == 0, done.stderr
    owners = {path.name: path.owner() for path in owned.directory.iterdir()}
    roots = {name for name, owner in owners.items() if owner != USER}
    assert roots == {"master.key", "ca.key"} | ({"ca.next.key"} if command == "ca" else set())


@root_only
def test_a_url_of_a_store_that_the_user_has_noted_leads_root_nowhere_where_he_may_not_go(
    owned: Installed, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    noted = owned.directory / "store.url"
    noted.write_text(f"sqlite:///{secret}")
    noted.chmod(0o600)
    done = owned.run("export")
    assert done.returncode == 1
    assert "unable to open database file" in done.stderr
    assert "Its files must belong to the directory's owner (chown)" in done.stderr
    assert secret.stat().st_size == 0


@root_only
@pytest.mark.parametrize("command", [("serve", "--gateway", "127.0.0.1:0"), ("control",)])
def test_root_reads_no_certificate_to_which_a_link_of_the_user_leads(
    command: tuple[str, ...], owned: Installed, tmp_path: Path
) -> None:
    program, variables = program_for(USER)
    shown, of_root = owned.directory / "server.pem", tmp_path / "server.pem"
    shutil.copy(shown, of_root)
    of_root.chmod(0o600)
    shown.unlink()
    shown.symlink_to(of_root)
    done = subprocess.run(
        [*program, *command, "--api", "127.0.0.1:0", "--user", USER],
        env={**environment(owned.variables), **variables}, cwd="/", capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"{shown}: Permission denied" in done.stderr
    assert "ready" not in done.stdout


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory of root's in which others reach what they know the name of."""
    with tempfile.TemporaryDirectory(prefix="hatchway-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


SCRIPT = ("host", "script", "web-1", "--api-url", "https://localhost:8443")
BUNDLE = ("--endpoint-url", "https://{name}:8443", "--bundle", "{elsewhere}/b.zip")


def to_root_s(path: Path, elsewhere: Path) -> Path:
    """Puts a link in the place of a file, to the same as root's in a directory of root's."""
    elsewhere.mkdir(mode=0o700)
    of_root = Path(shutil.move(path, elsewhere))
    shutil.chown(of_root, 0, 0)
    of_root.chmod(0o600)
    path.symlink_to(of_root)
    return of_root


@root_only
@pytest.mark.parametrize(
    "command",
    [SCRIPT, ("access-key", "create", "alice", *BUNDLE), ("ca", "rotate", "--step", "add")],
    ids=["host script", "access-key", "ca rotate"],
)
def test_no_command_of_root_s_reads_a_ca_to_which_a_link_of_the_user_leads(
    command: tuple[str, ...], owned: Installed, tmp_path: Path
) -> None:
    names = certificate_names((owned.directory / "server.pem").read_bytes())
    name = next(
        each for each in names if "localhost" not in each and not each[-1].isdigit() and ":" not in each
    )
    to_root_s(owned.directory / "ca.pem", tmp_path / "of-root")
    done = owned.run(*(word.format(elsewhere=tmp_path, name=name) for word in command))
    assert done.returncode != 0
    assert "Permission denied" in done.stderr or "ca.pem may not be used" in done.stderr
    assert "CERTIFICATE" not in done.stdout
    assert not (tmp_path / "b.zip").exists()


@root_only
def test_root_takes_no_word_of_the_user_s_for_where_the_api_is_or_what_it_shows_beyond_his_rights(
    owned: Installed, tmp_path: Path
) -> None:
    directory, secret = DataDirectory(owned.directory), tmp_path / "of-root" / "server.pem"
    shown = to_root_s(directory.server_certificate, secret.parent)
    noted = ApiLocation(url="https://localhost:1", everywhere=False, private_ca=True, certificate=shown)
    noted.write(directory)
    assert ApiLocation.read(directory) == noted
    with pytest.raises(PermissionError):
        read_as_owner(shown, directory.path)
    # Of what it shows nothing can be told, so that no URL is refused for it.
    assert owned.run(*SCRIPT[:-1], "https://elsewhere.example").returncode == 0
    to_root_s(directory.api_location, tmp_path / "noted")
    assert not ApiLocation.read(directory).noted


@root_only
def test_a_server_of_root_s_writes_no_event_to_a_file_to_which_a_link_of_the_user_leads(
    owned: Installed, tmp_path: Path
) -> None:
    path = owned.directory / "audit.jsonl"
    path.touch()
    of_root = to_root_s(path, tmp_path / "of-root")
    store = Store.open(DataDirectory(owned.directory).store_url)
    export = Export(store, path)
    with pytest.raises(FileNotWritten, match="Permission denied"):
        export.run()
    assert of_root.read_bytes() == b""
    path.unlink()
    assert export.run()
    assert path.owner() == USER
    store.close()


def test_no_pipe_and_nothing_endless_is_read_in_the_place_of_a_certificate(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 40)
    for name in ("pipe", "sparse"):
        with pytest.raises(OSError, match=r"is no file|too large"):
            read_as_owner(tmp_path / name)


@root_only
def test_root_opens_as_the_owner_of_a_directory_what_is_there_and_is_root_again_afterwards(
    reachable: Path,
) -> None:
    theirs, secret = reachable / "theirs", reachable / "secret"
    theirs.mkdir()
    shutil.chown(theirs, USER, user_group(USER))
    secret.touch(mode=0o640)
    before = Path("/proc/thread-self/status").read_text(), os.environ.get("HOME")
    with as_owner_of(theirs):
        with as_owner_of(theirs):
            (theirs / "made").touch()
        with pytest.raises(PermissionError):
            secret.read_text()
    assert (theirs / "made").owner() == USER
    assert secret.read_text() == ""
    fields = ("Uid", "Gid", "Groups", "CapEff")

    def ids(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith(fields)]

    assert ids(Path("/proc/thread-self/status").read_text()) == ids(before[0])
    assert os.environ.get("HOME") == before[1]


@root_only
def test_threads_that_open_what_is_another_users_leave_root_as_it_was(reachable: Path) -> None:
    shutil.chown(reachable, USER, user_group(USER))
    groups, home = os.getgroups(), os.environ.get("HOME")
    inside = threading.Barrier(2)

    def open_there() -> None:
        # Were both within at once, each would put back what the other had set.
        with as_owner_of(reachable), suppress(threading.BrokenBarrierError):
            inside.wait(0.1)

    threads = [threading.Thread(target=open_there) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside.broken
    assert (os.getgroups(), os.environ.get("HOME")) == (groups, home)


@root_only
def test_root_is_told_to_give_the_user_the_data_directory(installed: Installed) -> None:
    program, variables = program_for(USER)
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory, "data")
        shutil.copytree(installed.directory, data)
        done = subprocess.run(
            [*program, "control", "--api", "127.0.0.1:0", "--user", USER, "--data-dir", str(data)],
            env={**environment(installed.variables), **variables}, cwd="/", capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(
        f"{data} is not {USER}'s, who has to write there: chown -R {USER}: {data}"
    )


def answers(server: Server) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    port = int(server.urls["gateway"].rpartition(":")[2])
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60)) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return tls.recv(12) == b"HTTP/1.1 404"
    except OSError:
        return False


def test_a_user_that_does_not_exist_is_a_usage_error(installed: Installed) -> None:
    for command in ("serve", "control", "gateway"):
        done = hatchway(command, "--user", "no-such-user", variables=installed.variables)
        assert done.returncode == 2
        assert "--user 'no-such-user': there is no such user" in done.stderr
