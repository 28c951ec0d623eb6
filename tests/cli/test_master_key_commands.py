"""`hatchway gateway-key` and `master-key`, as an operator types them; what they do is tested in
`tests/administration`."""

import json
from dataclasses import replace

import pytest
from tests.cli.conftest import Installed
from tests.cli.in_process import Ran, run

from hatchway.errors import CommandFailed
from hatchway.installation.installation import open_installation
from hatchway.settings import DataDirectory

CHECK = "master-key-check"


def typed(installed: Installed, *arguments: str) -> Ran:
    return run(*arguments, "--data-dir", str(installed.directory))


def test_another_gateway_key_takes_the_place_of_the_one_that_is_there(installed: Installed) -> None:
    file = DataDirectory(installed.directory).gateway_key
    before = file.read_bytes()
    told = typed(installed, "gateway-key", "rotate")
    assert told.code == 0, told.errors
    assert told.output.startswith("Gateway key ") and told.output.endswith(" encrypts signing keys\n")
    assert file.read_bytes() != before
    now = told.output.split()[2]
    (after,) = json.loads(typed(installed, "gateway-key", "rotate", "--json").output)["gateway_keys"]
    assert after != now


def test_it_may_be_done_step_by_step_in_this_order_alone(installed: Installed) -> None:
    added = typed(installed, "gateway-key", "rotate", "--step", "add")
    assert " can also decrypt them" in added.output
    early = typed(installed, "gateway-key", "rotate", "--step", "drop")
    assert (early.code, early.output) == (2, "") and "run --step use first" in early.errors
    for step in ("use", "drop"):
        assert typed(installed, "gateway-key", "rotate", "--step", step).code == 0
    again = typed(installed, "gateway-key", "rotate", "--step", "drop")
    assert again.code == 0 and " can also decrypt them" not in again.output


def test_another_gateway_key_is_made_where_it_is_lost_and_only_there(installed: Installed) -> None:
    file = DataDirectory(installed.directory).gateway_key
    refused = typed(installed, "gateway-key", "create")
    assert (refused.code, refused.output) == (2, "") and "hatchway gateway-key rotate" in refused.errors
    with open_installation(DataDirectory(installed.directory), None, migrate=True):
        file.unlink()
    assert typed(installed, "gateway-key", "rotate").code == 1
    with (
        pytest.raises(CommandFailed, match="hatchway gateway-key create"),
        open_installation(DataDirectory(installed.directory), None, migrate=True),
    ):
        pass
    made = typed(installed, "gateway-key", "create")
    assert made.code == 0, made.errors
    assert file.stat().st_mode & 0o777 == 0o600
    with (
        open_installation(DataDirectory(installed.directory), None, migrate=True) as opened,
        opened.store.read() as tx,
    ):
        state = tx.key_states.get("gateway")
    assert state is not None and state.key_ids == (made.output.split()[2],)


@pytest.mark.parametrize("key", ["gateway-key", "master-key"])
def test_a_step_that_is_none_is_refused(installed: Installed, key: str) -> None:
    refused = typed(installed, key, "rotate", "--step", "jump")
    assert (refused.code, refused.output) == (2, "")
    assert "--step 'jump' is not add, use or drop" in refused.errors


def test_the_check_of_the_master_key_is_put_anew_where_it_alone_is_wrong(installed: Installed) -> None:
    sound = typed(installed, "master-key", "mend-check")
    assert sound.output.startswith("The check value is right: the master key opens ")
    with open_installation(DataDirectory(installed.directory), None) as opened, opened.store.write() as tx:
        check = tx.sealed_secrets.get(CHECK)
        assert check is not None
        *rest, last = check.ciphertext
        tx.sealed_secrets.put(replace(check, ciphertext=bytes([*rest, last ^ 1])))
    refused = typed(installed, "gateway-key", "rotate")
    assert refused.code == 1 and "hatchway master-key mend-check" in refused.errors
    mended = typed(installed, "master-key", "mend-check")
    assert mended.output.startswith("The check value was repaired: the master key opens ")
    assert typed(installed, "gateway-key", "rotate").code == 0
