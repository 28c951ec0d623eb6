"""Copies of a store in use."""

import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.fleet.accounts import NOW

from hatchway.domain.account import Account
from hatchway.store import DamagedCopy, Store, check_copy, copy_store, open_copy


@pytest.fixture
def written(tmp_path: Path) -> Store:
    store = Store.open(f"sqlite:///{tmp_path}/hatchway.db")
    store.migrate()
    return store


def account(number: int) -> Account:
    return Account(id=f"{number:012}", region="us-east-1", gateway_dns_name="localhost", created_at=NOW)


def test_a_copy_is_of_one_moment_while_others_write(written: Store, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            # Two rows each time: an even number of them is what any one moment has.
            with written.write() as tx:
                tx.accounts.put(account(number), account(number + 1))
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            target = tmp_path / f"copy-{number}.db"
            copy_store(written, target)
            check_copy(target)
            with closing(open_copy(target)) as copy, copy.read() as tx:
                assert tx.accounts.count() % 2 == 0
    finally:
        stop.set()
        writer.join()
    with written.read() as tx:
        assert tx.accounts.count() > 0
    written.close()


def test_a_copy_has_what_is_only_in_the_log_and_needs_none(written: Store, tmp_path: Path) -> None:
    with written.write() as tx:
        tx.accounts.put(account(1))
    target = tmp_path / "away" / "copy #1?%20.db"
    target.parent.mkdir()
    copy_store(written, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.chmod(0o400)
    target.parent.chmod(0o500)
    check_copy(target)
    with closing(open_copy(target)) as copy, copy.read() as tx:
        assert tx.account() == account(1)
    target.parent.chmod(0o700)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    written.close()


def test_a_file_that_is_there_is_not_written_over(written: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(FileExistsError):
        copy_store(written, target)
    assert target.read_text() == "precious"
    written.close()


@pytest.mark.parametrize("at", [0, 4096])
def test_damage_is_found(written: Store, tmp_path: Path, at: int) -> None:
    target = tmp_path / "copy.db"
    copy_store(written, target)
    content = bytearray(target.read_bytes())
    content[at : at + 600] = b"\xff" * 600
    target.write_bytes(content)
    with pytest.raises(DamagedCopy):
        check_copy(target)
    written.close()
