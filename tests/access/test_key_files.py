"""The master key and the gateway key: made for one owner, and refused when their file is amiss."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hatchway.access.key_files import (
    GATEWAY_KEY,
    MASTER_KEY,
    KeyKind,
    KeyProblem,
    new_key,
    read_gateway_key,
    read_key,
    read_master_key,
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
    assert read_key(kind, path, {}) == key
    with pytest.raises(FileExistsError):
        new_key(path)
    assert read_key(kind, path, {}) == key


def test_each_key_has_a_variable_of_its_own_which_comes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    in_file = new_key(path)
    text = base64.b64encode(KEY).decode()
    assert read_master_key(path, {"HATCHWAY_MASTER_KEY": text}) == KEY
    assert read_gateway_key(path, {"HATCHWAY_GATEWAY_KEY": text}) == KEY
    assert read_master_key(path, {"HATCHWAY_GATEWAY_KEY": text}) == in_file
    assert read_gateway_key(path, {"HATCHWAY_MASTER_KEY": text}) == in_file


@KINDS
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o777])
def test_a_key_that_others_may_read_or_write_is_refused(kind: KeyKind, mode: int, tmp_path: Path) -> None:
    path = written(tmp_path / "some.key", base64.b64encode(KEY), mode)
    with pytest.raises(KeyProblem, match=f"chmod 600 {path}"):
        read_key(kind, path, {})


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
    ],
)
def test_a_malformed_key_is_refused_without_being_shown(
    kind: KeyKind, content: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path / "some.key", content)
    with pytest.raises(KeyProblem, match=kind.name) as raised:
        read_key(kind, path, {})
    assert content[:20].decode("latin-1") not in str(raised.value) or not content
    with pytest.raises(KeyProblem, match=kind.variable):
        read_key(kind, path, {kind.variable: content.decode("latin-1")})


@KINDS
def test_a_missing_key_tells_what_to_do(kind: KeyKind, tmp_path: Path) -> None:
    with pytest.raises(KeyProblem) as raised:
        read_key(kind, tmp_path / "none", {})
    assert str(raised.value).startswith(f"there is no {kind.name}: ")
    assert str(tmp_path / "none") in str(raised.value)
    assert f"set {kind.variable}" in str(raised.value)


def test_a_link_a_pipe_and_a_directory_are_no_keys(tmp_path: Path) -> None:
    new_key(tmp_path / "real.key")
    link, pipe, directory = tmp_path / "link", tmp_path / "pipe", tmp_path / "directory"
    link.symlink_to(tmp_path / "real.key")
    os.mkfifo(pipe, 0o600)
    directory.mkdir(0o700)
    for path, words in ((link, "symbolic link"), (pipe, "is no file"), (directory, "is no file")):
        with pytest.raises(KeyProblem, match=words):
            read_master_key(path, {})


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
    with another_user(), pytest.raises(KeyProblem, match="run this as root or as the server's user"):
        read_master_key(path, {})


def test_of_any_other_fault_the_system_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="cannot be read: File name too long"):
        read_master_key(tmp_path / ("k" * 300), {})


def test_of_a_master_key_of_another_store_it_is_said_where_it_is_and_what_to_do() -> None:
    path = Path("/data/master.key")
    in_file = str(wrong_master_key(path, {}))
    assert in_file.startswith("the master key in /data/master.key is not this store's")
    in_variable = str(wrong_master_key(path, {"HATCHWAY_MASTER_KEY": "x"}))
    assert in_variable.startswith("the master key in environment variable HATCHWAY_MASTER_KEY is not")
    assert "set HATCHWAY_MASTER_KEY to the right one" in in_variable
