"""The tables of docs/settings.md and docs/metrics.md are those that the code gives, and lack nothing."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from scripts.api_tables import MARKED, ROOT
from scripts.reference_tables import METRICS, PAGES, SETTINGS, written_anew

from hatchway.settings import Settings
from hatchway.supervision import supervised

SOURCE = ROOT / "src" / "hatchway"

OPTIONS = {
    "api_certificate": "api-cert",
    "data_directory": "data-dir",
    "drain_ports": "drain-port",
    "drain_seconds": "drain-timeout",
    "endpoints": "endpoint",
    "gateway_certificate": "gateway-tls-cert",
    "never_targets": "never-target",
    "run_as": "user",
    "vpcs": "vpc",
}
"""The options of settings that have another name within."""

FROM_THE_DATA_DIRECTORY = {"machine_id"}

AMONG_PROCESSES = {
    supervised.LISTENER_VARIABLE,
    supervised.REPLACES_VARIABLE,
    supervised.SUPERVISOR_VARIABLE,
    "HATCHWAY_DEMO_HOST",
}
"""What a process of ours tells another: nobody sets it."""


def read_within(directory: Path, pattern: str) -> set[str]:
    return {found for path in directory.rglob("*.py") for found in re.findall(pattern, path.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_as_the_code_is_now(page: Path) -> None:
    text = page.read_text()
    assert written_anew(page, text) == text, "make tables"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_table_is_on_its_page_once_and_has_rows(page: Path) -> None:
    assert sorted(name for _, name, _ in MARKED.findall(page.read_text())) == sorted(PAGES[page])
    for table in PAGES[page].values():
        assert len(list(table())) > 2


def test_a_setting_that_is_out_of_date_is_noticed() -> None:
    text = SETTINGS.read_text()
    assert "| 1 to 3,600 |" in text
    assert written_anew(SETTINGS, text.replace("| 1 to 3,600 |", "| 1 to 7,200 |")) == text


@pytest.mark.parametrize(
    "setting", sorted({each.name for each in fields(Settings)} - FROM_THE_DATA_DIRECTORY)
)
def test_each_setting_of_a_server_is_an_option_on_the_page(setting: str) -> None:
    option = OPTIONS.get(setting, setting.replace("_", "-"))
    assert f"\n| `--{option}` |" in SETTINGS.read_text()


def test_each_variable_that_is_hatchways_own_is_on_the_page() -> None:
    read = read_within(SOURCE, r"(?<![_A-Z])HATCHWAY_[A-Z_]*[A-Z]")
    assert read > AMONG_PROCESSES
    assert read - AMONG_PROCESSES == set(re.findall(r"^\| `(HATCHWAY_\w+)`", SETTINGS.read_text(), re.M))


def test_each_variable_that_clients_read_is_on_the_page() -> None:
    read = read_within(SOURCE / "client", r'"((?:AWS_|XDG_)[A-Z_]*[A-Z]|[A-Z]+_PROXY)"')
    assert len(read) > 10
    assert {variable for variable in read if f"`{variable}" not in SETTINGS.read_text()} == set()


def test_each_metric_that_the_dashboard_and_the_alerts_ask_for_is_on_the_page() -> None:
    asked = {
        name
        for path in (ROOT / "deploy").rglob("*")
        if path.suffix in (".json", ".yml")
        for name in re.findall(
            r"\b((?:hatchway|process)_[a-z_]+?)(?:_bucket|_sum|_count)?\b", path.read_text()
        )
    }
    page = METRICS.read_text()
    assert {name for name in asked if f"| `{name}` |" not in page} == set()
