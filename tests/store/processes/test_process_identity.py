"""A process is said to be gone where that is certain, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hatchway.store.processes.process_identity import is_gone, own_identity


def identity_of_another() -> str:
    """Of one that has ended."""
    says = "from hatchway.store.processes.process_identity import own_identity; print(own_identity())"
    return subprocess.check_output([sys.executable, "-c", says], text=True).strip()


def test_one_that_runs_is_not_gone_and_one_that_has_ended_is() -> None:
    assert not is_gone(own_identity())
    assert is_gone(identity_of_another())


def test_of_what_is_elsewhere_or_cannot_be_read_nothing_is_certain() -> None:
    host, _, *rest = own_identity().split("/")
    elsewhere = "/".join([host, "another-boot", *rest])
    for identity in ("", "nonsense", elsewhere, own_identity().replace(f"/{os.getpid()}/", "/x/")):
        assert not is_gone(identity), identity


def test_where_there_is_but_one_machine_one_from_before_it_was_booted_is_gone() -> None:
    host, _, *rest = own_identity().split("/")
    assert is_gone("/".join([host, "the-boot-before", *rest]), alone=True)


def test_where_the_system_tells_nothing_no_two_are_alike_and_none_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(*_: object, **__: object) -> str:
        raise PermissionError

    for name in ("read_text", "stat"):
        monkeypatch.setattr(Path, name, unreadable)
    one, other = own_identity(), own_identity()
    assert one != other
    assert not is_gone(one) and not is_gone(one, alone=True)
