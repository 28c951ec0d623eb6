"""What `hatchway serve` is told reaches the processes that it starts, by their command lines."""

from __future__ import annotations

import getpass
import inspect
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from unittest import mock

from tests.cli.in_process import run

from hatchway.cli import server_commands
from hatchway.pki.certificate_authority import create_ca
from hatchway.server import serving
from hatchway.server.programs import control_programs, gateway_program
from hatchway.settings import STORE_URL_VARIABLE, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from hatchway.server.options import ServerOptions

SAID: Final = {
    "data_dir": "{directory}",
    "store_url": "postgresql://hatchway@db.example/hatchway",
    "api": "127.0.0.9:9443",
    "api_name": "api.example",
    "api_cert": "/api.pem",
    "api_key": "/api.key",
    "api_reads": "7",
    "api_writes": "8",
    "api_proxy_protocol_from": "10.9.0.0/16",
    "api_workers": "3",
    "api_metrics": "127.0.0.9:9470",
    "housekeeping": "off",
    "audit_file": "off",
    "gateway": "127.0.0.9:9444",
    "gateway_tls_cert": "/gateway.pem",
    "gateway_tls_key": "/gateway.key",
    "gateway_workers": "2",
    "proxy_protocol_from": "10.8.0.0/16",
    "vpc": "lab",
    "endpoint": "eice-1",
    "never_target": "10.7.0.0/16",
    "metrics": "127.0.0.9:9480",
    "drain_port": "9490",
    "idle_limit": "60",
    "max_tunnels": "70",
    "revocation": "off",
    "compiled_core": "off",
    "tls_prefer": "aes-256",
    "drain_timeout": "11",
    "drain_notice": "12",
    "user": getpass.getuser(),
    "log_format": "console",
}
"""Each option of `hatchway serve` with another value than its default."""

FORMER: Final = {"gateway_cert": "gateway_tls_cert", "gateway_key": "gateway_tls_key"}
"""What options were called before."""

OF_GATEWAYS_ALONE: Final = {
    "compiled_core",
    "drain_notice",
    "drain_ports",
    "drain_seconds",
    "endpoints",
    "gateway",
    "gateway_certificate",
    "gateway_tls_key",
    "idle_limit",
    "max_tunnels",
    "metrics",
    "never_targets",
    "proxy_protocol_from",
    "revocation",
    "tls_prefer",
    "vpcs",
}
OF_API_ALONE: Final = {
    "api",
    "api_certificate",
    "api_key",
    "api_metrics",
    "api_proxy_protocol_from",
    "api_reads",
    "api_workers",
    "api_writes",
    "audit_file",
    "housekeeping",
}
NEVER_TOLD: Final = {"machine_id", "store_url"}
"""What no option of this test changes: a machine that joined knows the one, the environment has the other."""


def options_of(command: str) -> set[str]:
    return set(inspect.signature(getattr(server_commands, command)).parameters)


def told(monkeypatch: pytest.MonkeyPatch, *words: str) -> ServerOptions:
    """What a server's command line says."""
    given: list[ServerOptions] = []
    for name in ("serve_both", "run_control_plane", "run_gateway_plane", "supervise_control_plane"):
        monkeypatch.setattr(serving, name, lambda options, *_: given.append(options))
    with mock.patch("hatchway.logs.configure_logs"):
        ran = run(*words)
    assert (ran.errors, ran.code) == ("", 0)
    (options,) = given
    return options


def differing(one: Settings, other: Settings) -> set[str]:
    names = [field.name for field in fields(Settings)]
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def own_words(command: Sequence[str]) -> Sequence[str]:
    """Those behind the interpreter's."""
    return command[command.index("hatchway") + 1 :]


def test_every_option_of_a_server_is_tried_here() -> None:
    assert set(SAID) == options_of("serve") - set(FORMER)


def test_an_option_is_taken_by_the_name_that_it_had_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = ("--data-dir", str(tmp_path))
    for former, name in FORMER.items():
        before = [f"--{former.replace('_', '-')}", SAID[name]]
        others = [word for each in FORMER.values() if each != name for word in option(each)]
        assert told(monkeypatch, "serve", *place, *before, *others) == told(
            monkeypatch, "serve", *place, *option(name), *others
        )
        both = run("serve", *place, *before, *option(name), *others)
        assert both.code == 2 and f"{before[0]} is --{name.replace('_', '-')}" in both.errors
    shown = run("serve", "--help").output
    assert "--gateway-tls-key" in shown and "--gateway-key" not in shown


def option(name: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", SAID[name]


def words(directory: Path, *without: str) -> list[str]:
    return [
        word
        for option, value in SAID.items()
        if option not in without
        for word in (f"--{option.replace('_', '-')}", value.format(directory=directory))
    ]


def test_each_process_is_told_all_that_the_server_was_told_and_its_command_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The store's URL is handed on by the environment: a command line is everybody's to read.
    monkeypatch.setenv(STORE_URL_VARIABLE, SAID["store_url"])
    server = told(monkeypatch, "serve", *words(tmp_path, "api_name"))
    settings = server.settings()
    plain = told(monkeypatch, "serve", "--data-dir", str(tmp_path / "other"))
    assert plain.log_format is not server.log_format
    assert differing(settings, plain.settings()) == {field.name for field in fields(Settings)} - NEVER_TOLD

    control = told(monkeypatch, *own_words(control_programs(server, settings.api)[0].command))
    assert control.log_format is server.log_format
    assert differing(settings, control.settings()) == OF_GATEWAYS_ALONE

    gateway = told(monkeypatch, *own_words(gateway_program(server, settings.gateway).command))
    assert gateway.log_format is server.log_format
    assert set(settings.drain_ports) < set(gateway.settings().drain_ports)
    assert differing(settings, gateway.settings()) == OF_API_ALONE | {"drain_ports"}


def test_the_api_s_process_is_told_the_names_for_its_certificate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = create_ca("Hatchway test CA", [SAID["api_name"]], datetime.now(UTC))
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    server = told(monkeypatch, "serve", *words(tmp_path, "api_cert", "api_key"))
    control = told(monkeypatch, *own_words(control_programs(server, server.settings().api)[0].command))
    assert control.api_names == server.api_names == (SAID["api_name"],)
