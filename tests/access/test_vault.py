"""The vault opens what it sealed, where it was sealed, and nothing else."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.access.vault import (
    ENVIRONMENT_VARIABLE,
    MasterKeyProblem,
    Unsealable,
    Vault,
    new_master_key,
    read_master_key,
)

KEY = bytes(range(32))


@given(plaintext=st.binary(max_size=200), context=st.text(max_size=50))
def test_what_is_sealed_opens_in_its_own_context_alone(plaintext: bytes, context: str) -> None:
    vault = Vault(KEY)
    sealed = vault.seal(plaintext, context)
    assert vault.unseal(sealed, context) == plaintext
    with pytest.raises(Unsealable):
        vault.unseal(sealed, context + "x")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert Vault(KEY).seal(b"secret", "c") != Vault(KEY).seal(b"secret", "c")


@given(data=st.data())
def test_no_altered_byte_passes(data: st.DataObject) -> None:
    sealed = bytearray(Vault(KEY).seal(b"secret", "c"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unsealable):
        Vault(KEY).unseal(bytes(sealed), "c")


@given(junk=st.binary(max_size=64))
def test_junk_is_unsealable(junk: bytes) -> None:
    with pytest.raises(Unsealable):
        Vault(KEY).unseal(junk, "c")


def test_another_master_key_opens_nothing() -> None:
    with pytest.raises(Unsealable):
        Vault(bytes(32)).unseal(Vault(KEY).seal(b"secret", "c"), "c")


def test_a_new_master_key_is_for_its_owner_only_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    key = new_master_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_master_key(path, {}) == key
    with pytest.raises(FileExistsError):
        new_master_key(path)
    assert read_master_key(path, {}) == key


def test_a_master_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    new_master_key(path)
    path.chmod(0o640)
    with pytest.raises(MasterKeyProblem, match="chmod 600"):
        read_master_key(path, {})


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    new_master_key(path)
    assert read_master_key(path, {ENVIRONMENT_VARIABLE: base64.b64encode(KEY).decode()}) == KEY


@pytest.mark.parametrize(
    "text", ["", "short", "AAAA", "not base64 at all!", base64.b64encode(bytes(31)).decode()]
)
def test_a_malformed_master_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(MasterKeyProblem) as raised:
        read_master_key(tmp_path / "none", {ENVIRONMENT_VARIABLE: text})
    assert not text or text not in str(raised.value)


def test_a_missing_master_key_tells_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyProblem, match="restore"):
        read_master_key(tmp_path / "none", {})
