"""Fleet files made of what people have, by the commands (docs/fleet.md)."""

from pathlib import Path

import pytest
import yaml
from tests.cli.in_process import run

from hatchway.administration import imports


def test_an_inventory_goes_to_standard_output_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\nweb-1 ansible_host=10.0.1.1\nweb-2\n")
    ran = run("import", "ansible", str(tmp_path / "hosts.ini"), "--vpc", "office")
    assert yaml.safe_load(ran.output)["instances"]["web-1"]["subnet"] == "office/10.0.1.0-24"
    assert ran.code == 0
    assert ran.errors.splitlines() == [
        "hatchway: web-2 is left out: 'web-2' is no IP address: give one, or --resolve",
        "hatchway: 1 instance. Look at the networks, then apply it",
    ]


def test_a_configuration_is_read_with_what_it_includes_and_names_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf.d").mkdir()
    for name in ("a", "b"):
        (tmp_path / "conf.d" / name).write_text(f"Host {name}\n  HostName {name}.test\n")
    config = tmp_path / "config"
    config.write_text("Include conf.d/*\nHost local\n  HostName localhost\n")
    addresses = {"a.test": "10.0.0.1", "b.test": "10.0.0.2"}
    monkeypatch.setattr(imports, "address_of", addresses.get)
    output = tmp_path / "fleet.yaml"
    assert run("import", "ssh-config", str(config), "--resolve", "-o", str(output)).code == 0
    assert set(yaml.safe_load(output.read_text())["instances"]) == {"a", "b"}
    again = run("import", "ssh-config", str(config), "--resolve", "-o", str(output))
    assert (again.code, again.output) == (1, "")
    assert "already exists" in again.errors
    monkeypatch.setattr(imports, "_MOST_INCLUDED", 1)
    assert "more than 1 files" in run("import", "ssh-config", str(config)).errors


def test_what_is_no_such_file_is_told_with_its_name(tmp_path: Path) -> None:
    table = tmp_path / "hosts.csv"
    table.write_text("colour\nred\n")
    ran = run("import", "csv", str(table))
    assert ran.code == 2
    assert ran.errors == f"hatchway: {table}: its first line names no column 'name': it is to be a header\n"
    assert run("import", "csv", str(tmp_path / "missing.csv")).code != 0


def test_a_name_is_looked_up_as_this_machine_does() -> None:
    assert imports.address_of("127.0.0.1") == "127.0.0.1"
    assert imports.address_of("nothing.invalid") is None
    assert imports.address_of("x" * 300) is None
