"""The vault opens what it sealed, where it was sealed, and nothing else."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from hatchway.keys.key_files import KeyProblem
from hatchway.keys.vault import Unsealable, Vault

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


def test_keys_are_told_apart_without_being_shown() -> None:
    assert Vault(KEY).key_id == Vault(KEY).key_id != Vault(bytes(32)).key_id
    assert KEY.hex()[:16] != Vault(KEY).key_id


def test_a_key_has_the_same_id_in_every_version() -> None:
    assert Vault(KEY).key_id == hashlib.sha256(b"hatchway key id\0" + KEY).hexdigest()[:16]


def test_what_any_version_sealed_opens() -> None:
    nonce = bytes(12)
    sealed = b"\x01" + nonce + AESGCM(KEY).encrypt(nonce, b"secret", "é".encode())

    assert Vault(KEY).unseal(sealed, "é") == b"secret"
    assert len(Vault(KEY).seal(b"secret", "é")) == len(sealed)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(11), b"\x02" + bytes(40)])
def test_what_has_no_version_or_nonce_is_said_to_be_no_sealed_text(sealed: bytes) -> None:
    with pytest.raises(Unsealable, match=r"^not a sealed text$"):
        Vault(KEY).unseal(sealed, "c")


@pytest.mark.parametrize("size", [12, 13, 40])
def test_what_another_key_sealed_is_said_not_to_open(size: int) -> None:
    with pytest.raises(Unsealable, match=r"^the sealed text does not open with this key$"):
        Vault(KEY).unseal(b"\x01" + bytes(size), "c")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_32_bytes(size: int) -> None:
    with pytest.raises(KeyProblem, match=f"^a key must be 32 bytes, not {size}$"):
        Vault(bytes(size))


def test_where_there_is_no_secret_one_as_long_is_unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(KEY)
    secret = vault.seal(b"s" * 40, "secret access key of AKIA1")
    unsealed: list[int] = []
    unseal = Vault.unseal

    def noted(vault: Vault, sealed: bytes, context: str) -> bytes:
        unsealed.append(len(sealed))
        return unseal(vault, sealed, context)

    monkeypatch.setattr(Vault, "unseal", noted)
    vault.unseal_nothing()
    assert unsealed == [len(secret)]


def test_what_any_of_its_keys_sealed_opens_and_the_first_one_seals() -> None:
    new, former = bytes(range(1, 33)), KEY
    vault = Vault(new, former)
    sealed = Vault(former).seal(b"secret", "c")
    assert vault.unseal(sealed, "c") == b"secret"
    assert not vault.is_current(sealed, "c")
    assert vault.is_current(vault.seal(b"secret", "c"), "c")
    assert vault.key_id == Vault(new).key_id
    assert vault.key_ids == (Vault(new).key_id, Vault(former).key_id)
    with pytest.raises(Unsealable, match="does not open with this key"):
        vault.unseal(Vault(bytes(32)).seal(b"secret", "c"), "c")
    assert Vault(new, bytes(32), former).unseal(Vault(bytes(32)).seal(b"secret", "c"), "c") == b"secret"


def test_it_seals_under_another_key_from_the_moment_at_which_there_is_one() -> None:
    new = bytes(range(1, 33))
    answers: list[tuple[bytes, ...] | None] = [None, (new, KEY), None]
    vault = Vault(KEY, changed=lambda: answers.pop(0))
    assert Vault(KEY).is_current(vault.seal(b"secret", "c"), "c")
    assert Vault(new).is_current(vault.seal(b"secret", "c"), "c")
    assert vault.unseal(Vault(KEY).seal(b"secret", "c"), "c") == b"secret"
    vault.unseal_nothing()
    assert answers == [None]


def test_what_opens_with_no_key_that_it_knows_is_tried_with_those_that_there_are_now() -> None:
    new = bytes(range(1, 33))
    answers: list[tuple[bytes, ...] | None] = [(new, KEY), None]
    vault = Vault(KEY, changed=lambda: answers.pop(0))
    assert vault.unseal(Vault(new).seal(b"secret", "c"), "c") == b"secret"
    with pytest.raises(Unsealable):
        vault.unseal(b"junk", "c")
    assert answers == []


def test_who_comes_while_another_thread_takes_other_keys_has_them_too() -> None:
    other = bytes(32)
    sealed = Vault(other).seal(b"secret", "c")
    begun, go_on = threading.Event(), threading.Event()
    asked: list[bool] = []

    def changed() -> list[bytes] | None:
        asked.append(True)
        if len(asked) > 1:
            return None
        begun.set()
        assert go_on.wait(30)
        return [other, KEY]

    vault = Vault(KEY, changed=changed)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(vault.unseal, sealed, "c")
        assert begun.wait(30)
        second = threads.submit(vault.unseal, sealed, "c")
        # It fails at once when it does not wait for the first.
        wait([second], 0.1)
        go_on.set()
        assert first.result(30) == second.result(30) == b"secret"
