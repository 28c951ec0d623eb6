"""Which addresses are those of machines of Hatchway's own."""

from pathlib import Path

import pytest
from tests.store.migrated import empty_store

from hatchway.control.hosts.own_machines import addresses_of, own_machine


def test_hosts_are_known_by_address_and_by_name_and_what_does_not_resolve_is_left_out() -> None:
    found = addresses_of(("10.0.1.5", "fe80::1%lo", "localhost", "no-such-host.invalid", "x" * 300))
    assert {"10.0.1.5", "127.0.0.1"} <= found
    assert "" not in found


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        ("10.0.1.5", True),
        ("10.0.1.6", False),
        ("2001:db8::5", True),
        # A translator on the way makes the store's of it.
        ("64:ff9b::a00:105", True),
        ("64:ff9b::a00:106", False),
    ],
)
def test_the_store_s_machine_is_one(address: str, is_own: bool, tmp_path: Path) -> None:
    store = empty_store(tmp_path / "hatchway.db")
    with store.read() as tx:
        found = own_machine(tx, ["10.0.1.1", address], frozenset({"10.0.1.5", "2001:db8::5"}))
    store.close()
    assert found == (address if is_own else None)
