"""Who is named in the audit trail for what is done on the server."""

import os
import pwd
from pathlib import Path

import pytest
from tests.fleet.accounts import NOW

from hatchway.audit.local import local_source
from hatchway.audit.local_trail import administrator, user_name
from hatchway.domain.account import Account

OWN = user_name(os.getuid())
OTHER = next(entry for entry in pwd.getpwall() if entry.pw_name != OWN)
NOBODY_LOGGED_IN = f"{2**32 - 1}"


def login_uid(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "loginuid"
    path.write_text(text)
    return path


def identity(environment: dict[str, str], path: Path) -> dict[str, object]:
    account = Account(id="123456789012", region="us-east-1", gateway_dns_name="localhost", created_at=NOW)
    return dict(local_source(account, administrator(environment, path)).user_identity)


def test_a_command_that_nobody_is_behind_names_its_own_user(tmp_path: Path) -> None:
    named = identity({}, login_uid(tmp_path, NOBODY_LOGGED_IN))
    assert named["userName"] == f"os-user/{OWN}"
    assert not {"osUser", "userNameFrom"} & named.keys()


@pytest.mark.parametrize("variable", ["SUDO_USER", "DOAS_USER"])
def test_under_sudo_it_names_who_ran_sudo_and_as_whom(tmp_path: Path, variable: str) -> None:
    named = identity({variable: "alice"}, login_uid(tmp_path, NOBODY_LOGGED_IN))
    assert named["userName"] == "os-user/alice"
    assert (named["osUser"], named["userNameFrom"]) == (OWN, variable)


def test_what_the_kernel_says_counts_before_what_sudo_says(tmp_path: Path) -> None:
    named = identity({"SUDO_USER": "alice"}, login_uid(tmp_path, str(OTHER.pw_uid)))
    assert named["userName"] == f"os-user/{OTHER.pw_name}"
    assert (named["osUser"], named["userNameFrom"]) == (OWN, "loginuid")


def test_who_logged_in_as_himself_is_named_once(tmp_path: Path) -> None:
    named = identity({"SUDO_USER": "alice"}, login_uid(tmp_path, str(os.getuid())))
    assert named["userName"] == f"os-user/{OWN}"
    assert "osUser" not in named


@pytest.mark.parametrize("text", ["", "x", "-1", "4294967294", "9" * 40])
def test_a_login_that_this_system_does_not_know_is_none(tmp_path: Path, text: str) -> None:
    assert identity({}, login_uid(tmp_path, text))["userName"] == f"os-user/{OWN}"
    assert identity({}, tmp_path / "nothing")["userName"] == f"os-user/{OWN}"


def test_a_name_without_end_is_cut(tmp_path: Path) -> None:
    named = identity({"SUDO_USER": "a" * 100_000}, login_uid(tmp_path, NOBODY_LOGGED_IN))
    assert len(str(named["userName"])) < 300
