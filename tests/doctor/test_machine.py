from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from hatchway.doctor import machine
from hatchway.doctor.findings import Status
from hatchway.doctor.machine import (
    ServerProcess,
    check_clock,
    check_core,
    check_kernel,
    check_open_files,
    check_skew,
    server_processes,
)

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def kernel(proc: Path, **files: str) -> Path:
    for name, text in files.items():
        path = proc / "sys" / "net" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc


def test_the_clock_is_looked_at_and_left_alone() -> None:
    (finding,) = check_clock()
    assert finding.status in {Status.OK, Status.WARNING}
    assert bool(finding.advice) == (finding.status is Status.WARNING)


def test_a_compiled_core_that_cannot_be_used_is_warned_of_and_none_at_all_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(
        core: object, problem: str = "run make core", *, is_built: bool = True
    ) -> tuple[Status, str, str]:
        for name, value in (("CORE", core), ("PROBLEM", problem), ("IS_BUILT", is_built)):
            monkeypatch.setattr(machine, name, value)
        (finding,) = check_core()
        return finding.status, finding.seen, finding.advice

    status, seen, advice = found(None)
    assert (status, advice) == (Status.WARNING, "run make core")
    assert "in Python" in seen
    assert found(None, is_built=False)[0] is Status.OK
    status, seen, _ = found(SimpleNamespace(OPENSSL="OpenSSL 3.0.19"), "")
    assert status is Status.OK
    assert seen.endswith("the compiled core, with OpenSSL 3.0.19")


def test_clocks_may_be_five_minutes_apart_and_no_more() -> None:
    assert check_skew("the API", NOW + timedelta(minutes=5), NOW).status is Status.OK
    late = check_skew("the API", NOW - timedelta(seconds=301), NOW)
    assert late.status is Status.ERROR
    assert late.seen == "the clocks of this machine and the API differ by 301 s"


def test_limits_that_busy_gateways_meet_are_told_with_what_raises_them(tmp_path: Path) -> None:
    low = kernel(
        tmp_path,
        core__somaxconn="128\n",
        ipv4__ip_local_port_range="60000\t60999\n",
        netfilter__nf_conntrack_max="1000\n",
        netfilter__nf_conntrack_count="800\n",
    )
    found = {finding.check: finding for finding in check_kernel(low)}
    assert {finding.status for finding in found.values()} == {Status.WARNING}
    assert "somaxconn=4096" in found["accept queue"].advice
    assert "1000 tunnels to one port" in found["local ports"].seen
    assert "has 800 of at most 1000 connections" in found["connection tracking"].seen


def test_limits_that_are_high_enough_are_well_and_those_that_a_kernel_lacks_are_not_told(
    tmp_path: Path,
) -> None:
    high = kernel(tmp_path, core__somaxconn="4096\n", ipv4__ip_local_port_range="32768\t60999\n")
    assert [(finding.check, finding.status) for finding in check_kernel(high)] == [
        ("accept queue", Status.OK),
        ("local ports", Status.OK),
    ]


def test_the_process_that_may_have_the_fewest_files_open_counts() -> None:
    processes = [ServerProcess(1, "control", 10, 1 << 20), ServerProcess(2, "gateway", 10, 1024)]
    (finding,) = check_open_files(processes)
    assert finding.status is Status.WARNING
    assert finding.seen.startswith("'hatchway gateway' (process 2) may open 1024 files")
    (finding,) = check_open_files(processes[:1])
    assert finding.status is Status.OK
    assert len(list(check_open_files([]))) == 1


def test_servers_of_the_data_directory_are_found_and_no_others(tmp_path: Path) -> None:
    def process(pid: int, *words: str, environment: str = "") -> None:
        directory = tmp_path / str(pid)
        (directory / "fd").mkdir(parents=True)
        (directory / "fd" / "0").touch()
        (directory / "cmdline").write_bytes("\0".join([*words, ""]).encode())
        (directory / "environ").write_bytes(environment.encode())
        (directory / "limits").write_text(
            "Limit Soft Limit Hard Limit Units\nMax open files            1024                 4096"
            "                 files     \n"
        )

    process(7, "python3", "-m", "hatchway", "serve", "--data-dir", "/srv/h")
    process(8, "python3", "/usr/local/bin/hatchway", "gateway", environment="HATCHWAY_DATA_DIR=/srv/h\0X=1")
    process(9, "python3", "-m", "hatchway", "serve", "--data-dir", "/srv/other")
    process(10, "python3", "-m", "hatchway", "open-tunnel", "--data-dir", "/srv/h")
    process(11, "vim", "serve", "/srv/h")
    (tmp_path / "12").mkdir()
    assert server_processes(Path("/srv/h"), tmp_path) == [
        ServerProcess(7, "serve", 1, 1024),
        ServerProcess(8, "gateway", 1, 1024),
    ]
