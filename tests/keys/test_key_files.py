"""The master key and the gateway key: made for one owner, and refused when their file is amiss."""

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from hatchway.keys import key_files
from hatchway.keys.key_files import (
    CA_KEY,
    FORMER,
    GATEWAY_KEY,
    MASTER_KEY,
    NEXT,
    FollowedKeyFile,
    KeyKind,
    KeyProblem,
    Keys,
    altered_check,
    former_authority,
    former_gateway_key,
    former_master_key,
    new_key,
    read_gateway_keys,
    read_keys,
    read_master_keys,
    read_private_file,
    wrong_master_key,
)

KEY = bytes(range(32))
KINDS = pytest.mark.parametrize("kind", [MASTER_KEY, GATEWAY_KEY], ids=lambda kind: kind.name)


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@KINDS
def test_a_new_key_is_for_its_owner_only_and_is_never_overwritten(kind: KeyKind, tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    key = new_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == base64.b64encode(key) + b"\n"
    assert read_keys(kind, path, {}) == Keys(key)
    with pytest.raises(FileExistsError):
        new_key(path)
    assert read_keys(kind, path, {}) == Keys(key)


def test_each_key_has_a_variable_of_its_own_which_comes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    in_file = new_key(path)
    text = base64.b64encode(KEY).decode()
    assert read_master_keys(path, {"HATCHWAY_MASTER_KEY": text}).all == (KEY,)
    assert read_gateway_keys(path, {"HATCHWAY_GATEWAY_KEY": text}).all == (KEY,)
    assert read_master_keys(path, {"HATCHWAY_GATEWAY_KEY": text}).all == (in_file,)
    assert read_gateway_keys(path, {"HATCHWAY_MASTER_KEY": text}).all == (in_file,)


def problem(kind: KeyKind, path: Path, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    with pytest.raises(KeyProblem) as raised:
        read_keys(kind, path, environment)
    return str(raised.value)


@KINDS
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o777])
def test_a_key_that_others_may_read_or_write_is_refused(kind: KeyKind, mode: int, tmp_path: Path) -> None:
    path = written(tmp_path / "some.key", base64.b64encode(KEY), mode)
    assert problem(kind, path) == f"others can read the {kind.name}: run chmod 600 {path}"


@KINDS
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"not base64 at all!",
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(33)),
        bytes(32),
        b"\xff" * 44,
        base64.b64encode(KEY) * 1000,
        base64.b64encode(KEY).replace(b"A", b"A!", 1),
    ],
)
def test_a_malformed_key_is_refused_without_being_shown(
    kind: KeyKind, content: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path / "some.key", content)
    with pytest.raises(KeyProblem, match=kind.name) as raised:
        read_keys(kind, path, {})
    assert content[:20].decode("latin-1") not in str(raised.value) or not content
    with pytest.raises(KeyProblem, match=kind.variable):
        read_keys(kind, path, {kind.variable: content.decode("latin-1")})


def test_a_damaged_key_tells_where_it_is_and_what_to_do(tmp_path: Path) -> None:
    path = written(tmp_path / "some.key", b"damaged")
    damaged = "is damaged (not 32 bytes of base64)"
    assert problem(MASTER_KEY, path) == (f"the master key in {path} {damaged}: restore {path} from a backup")
    assert problem(GATEWAY_KEY, path) == (
        f"the gateway key in {path} {damaged}: restore {path} from a backup. On a machine that"
        " joined, remove the file and restart its server, which gets it again. On the first machine, if no"
        " backup and no other machine has it, remove the file and run 'hatchway gateway-key create'"
    )
    assert problem(MASTER_KEY, path, {"HATCHWAY_MASTER_KEY": "x"}) == (
        f"the master key in environment variable HATCHWAY_MASTER_KEY {damaged}: set HATCHWAY_MASTER_KEY to "
        f"the right one, or unset it if {path} contains the key"
    )


def test_a_missing_key_tells_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert problem(MASTER_KEY, path) == (
        f"there is no master key: restore {path} from a backup, or set HATCHWAY_MASTER_KEY"
    )
    assert problem(GATEWAY_KEY, path) == (
        "there is no gateway key: start the control plane, which creates an installation's first one or says"
        f" what to do. On a gateway's own machine, run 'hatchway join', which puts it into {path} (mode"
        " 0600),"
        " or set HATCHWAY_GATEWAY_KEY"
    )
    with pytest.raises(KeyProblem) as raised:
        read_private_file(CA_KEY, path)
    assert str(raised.value) == (
        f"there is no CA's key: restore {path} from a backup. If no backup has it, 'hatchway ca rotate"
        " --step add' creates another CA, which clients then have to trust (docs/rotation.md)"
    )


def test_of_a_private_file_no_more_is_read_than_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "some.key", b"k" * 1000)
    assert read_private_file(CA_KEY, path, 3) == b"kkk"
    assert read_private_file(CA_KEY, path) == b"k" * 256


def test_a_link_a_pipe_and_a_directory_are_no_keys(tmp_path: Path) -> None:
    new_key(tmp_path / "real.key")
    link, pipe, directory = tmp_path / "link", tmp_path / "pipe", tmp_path / "directory"
    link.symlink_to(tmp_path / "real.key")
    os.mkfifo(pipe, 0o600)
    directory.mkdir(0o700)
    assert problem(MASTER_KEY, link) == (
        f"the master key {link} is a symbolic link: put the file itself there, or set HATCHWAY_MASTER_KEY"
    )
    for path in (pipe, directory):
        assert problem(MASTER_KEY, path) == (
            f"the master key {path} is not a regular file: restore {path} from a backup"
        )


@contextmanager
def another_user() -> Iterator[None]:
    """Within, root acts as nobody; whoever is not root goes on as before."""
    before = os.geteuid()
    os.seteuid(65534 if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


def test_who_may_not_read_a_key_is_told_as_whom_to_try(tmp_path: Path) -> None:
    path = written(tmp_path / "some.key", b"", 0o000)
    with another_user():
        told = problem(MASTER_KEY, path)
    assert told == f"the master key {path} cannot be read: run this as root or as the server's user"


def test_the_server_s_user_is_told_of_a_key_that_is_root_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "some.key", b"", 0o000)
    owners = {path: 0, tmp_path: 65534}
    of_system = Path.stat

    def owned(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        status = of_system(self, follow_symlinks=follow_symlinks)
        return os.stat_result((*status[:4], owners.get(self, status.st_uid), *status[5:]))

    def refuse(*_: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", owned)
        patched.setattr(os, "open", refuse)
        told = problem(MASTER_KEY, path)
    assert told.startswith(
        f"the master key {path} cannot be read: it belongs to root, because of 'serve --user'"
    )
    assert told.endswith("give it to the directory's owner (chown)")


def test_of_any_other_fault_the_system_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / ("k" * 300)
    assert problem(MASTER_KEY, path) == f"the master key {path} cannot be read: File name too long"


def test_of_a_master_key_of_another_store_it_is_said_where_it_is_and_what_to_do() -> None:
    path = Path("/data/master.key")
    assert str(wrong_master_key(path, {"HATCHWAY_GATEWAY_KEY": "x"})) == (
        "the master key in /data/master.key does not belong to this store, because it opens none of its"
        " secrets: "
        "check that --store-url or HATCHWAY_STORE_URL leads to the right store; if it does, "
        "restore /data/master.key from a backup"
    )
    assert str(wrong_master_key(path, {"HATCHWAY_MASTER_KEY": "x"})) == (
        "the master key in environment variable HATCHWAY_MASTER_KEY does not belong to this store,"
        " because it "
        "opens none of its secrets: check that --store-url or HATCHWAY_STORE_URL leads to the right"
        " store; if it does, "
        "set HATCHWAY_MASTER_KEY to the right one, or unset it if /data/master.key contains the key"
    )


def test_of_a_master_key_that_was_dropped_it_is_said_what_to_do() -> None:
    assert str(former_master_key(Path("/data/master.key"), {})) == (
        "the master key in /data/master.key is no longer used in this store: it was replaced while this"
        " machine"
        " was away. On a machine that joined, run hatchway join --again, with a new token (hatchway"
        " join-token"
        " create). On the first machine, put the key of the other control planes there"
    )


def test_of_a_gateway_key_or_ca_that_is_none_of_the_stores_it_is_said_what_to_do_in_either_case() -> None:
    problem = str(former_gateway_key(Path("/data/gateway.key"), {"HATCHWAY_GATEWAY_KEY": "x"}))
    assert problem.startswith(
        "the gateway key in environment variable HATCHWAY_GATEWAY_KEY is not the one of this store"
    )
    assert "put gateway.key there from a machine that has the right one" in problem
    assert problem.endswith("run 'hatchway gateway-key rotate --step drop'")
    problem = str(former_authority(Path("/data/ca.pem")))
    assert problem.startswith("the private CA in /data/ca.pem is not the one of this store: it was replaced")
    assert "ca.pem and ca.key there from a later backup" in problem
    assert problem.endswith("run 'hatchway ca rotate --step drop'")


OTHER = bytes(range(1, 33))


@KINDS
@pytest.mark.parametrize("called", [NEXT, FORMER])
def test_while_a_key_is_rotated_its_file_holds_two(kind: KeyKind, called: str, tmp_path: Path) -> None:
    path = written(tmp_path / "some.key", b"", 0o600)
    keys = Keys(KEY, OTHER, called)
    path.write_bytes(keys.text)
    assert read_keys(kind, path, {}) == keys
    assert read_keys(kind, path, {}).all == (KEY, OTHER)
    path.write_bytes(Keys(OTHER).text)
    assert read_keys(kind, path, {}) == Keys(OTHER)
    assert str(KEY) not in repr(keys)


@pytest.mark.parametrize(
    "second",
    ["AAAA", "former:", "former:AAAA", "later:" + base64.b64encode(OTHER).decode(), "next:\xe9"],
)
def test_a_second_master_key_has_its_place_named_and_is_whole(second: str, tmp_path: Path) -> None:
    text = base64.b64encode(KEY).decode() + "\n" + second + "\n"
    path = written(tmp_path / "master.key", text.encode("latin-1"))
    with pytest.raises(KeyProblem, match=f"in {path} is damaged"):
        read_master_keys(path, {})


@KINDS
def test_three_keys_are_too_many(kind: KeyKind, tmp_path: Path) -> None:
    one = base64.b64encode(KEY)
    path = written(tmp_path / "some.key", one + b" next:" + one + b" former:" + one)
    with pytest.raises(KeyProblem, match=f"in {path} is damaged"):
        read_keys(kind, path, {})


def replaced(path: Path, keys: Keys) -> None:
    written(path.with_suffix(".new"), keys.text).replace(path)


def test_a_followed_file_tells_of_other_keys_once_and_goes_on_with_what_it_knows_without_them(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "master.key", base64.b64encode(KEY))
    followed = FollowedKeyFile(MASTER_KEY, path, {})
    assert followed.held == Keys(KEY)
    assert followed.changed() is None
    replaced(path, Keys(OTHER, KEY, FORMER))
    assert followed.changed() == (OTHER, KEY)
    assert followed.changed() is None
    replaced(path, Keys(OTHER, KEY, FORMER))
    assert followed.changed() is None
    path.write_bytes(b"damaged")
    assert followed.changed() is None
    path.unlink()
    assert followed.changed() is None
    assert followed.held.all == (OTHER, KEY)


def test_a_followed_file_is_read_again_only_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "master.key", base64.b64encode(KEY))
    followed = FollowedKeyFile(MASTER_KEY, path, {})
    replaced(path, Keys(OTHER))
    assert followed.changed() == (OTHER,)
    unchanged = FollowedKeyFile(MASTER_KEY, path, {})
    monkeypatch.setattr(key_files, "read_keys", lambda *_: pytest.fail("read it again"))
    assert (followed.changed(), unchanged.changed()) == (None, None)


def test_a_key_of_the_environment_is_not_followed(tmp_path: Path) -> None:
    path = written(tmp_path / "master.key", base64.b64encode(OTHER))
    followed = FollowedKeyFile(MASTER_KEY, path, {"HATCHWAY_MASTER_KEY": base64.b64encode(KEY).decode()})
    assert followed.changed() is None
    replaced(path, Keys(bytes(32)))
    assert followed.changed() is None
    assert followed.held.all == (KEY,)


def test_of_an_altered_check_it_is_said_how_to_mend_it_and_what_else_it_could_be() -> None:
    assert str(altered_check(Path("/data/master.key"), {}, 3, 4)) == (
        "the master key in /data/master.key opens 3 of the store's 4 secrets, but does not "
        "match the store's check of it. If it is the right one, that row was altered: run 'hatchway "
        "master-key mend-check'. Otherwise restore /data/master.key from a backup"
    )
