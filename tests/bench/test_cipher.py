"""What `openssl speed` says is read, and what it cannot say is told."""

import os

import pytest
from bench.gateway.cipher import AES_256, CannotTell, bytes_per_second, seconds_per_gb

SAID = """\
+DT:AES-256-GCM:1:16384
+R:134986:AES-256-GCM:0.710000
+H:16384
+F:25:AES-256-GCM:3114944540.85
"""


def test_the_rate_is_read() -> None:
    assert bytes_per_second(SAID) == 3114944540.85


@pytest.mark.parametrize("said", ["", "+H:16384\n", "+F:25:AES-256-GCM:\n"])
def test_an_answer_without_a_rate_is_told(said: str) -> None:
    with pytest.raises(CannotTell, match="openssl speed said"):
        bytes_per_second(said)


def test_a_cipher_that_the_program_may_not_know_is_told() -> None:
    with pytest.raises(CannotTell, match="openssl speed said"):
        seconds_per_gb("AES-512-GCM", min(os.sched_getaffinity(0)))


def test_without_the_program_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotTell, match="openssl is missing"):
        seconds_per_gb(AES_256, 0)
