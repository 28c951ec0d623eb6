"""What has a host's keys reported again when they change: units of systemd, or a job of busybox's crond."""

import subprocess
from pathlib import Path

import pytest
from tests.host.pretend import Host
from tests.programs import find

NAME = "hatchway-host-keys"


@pytest.fixture
def booted(one_host: Host) -> Host:
    Path(one_host.layout.booted).mkdir(parents=True)
    Path(one_host.layout.units).mkdir()
    return one_host


def test_systemd_watches_the_keys_and_reports_them_at_boot(booted: Host) -> None:
    before = booted.files()
    done = booted.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"reported from now on, by {NAME}.path" in done.stdout
    units = Path(booted.layout.units)
    assert f"PathChanged={booted.root}/etc/ssh/host_key\n" in (units / f"{NAME}.path").read_text()
    start = f"ExecStart=/bin/sh -c 'sleep 5; exec {booted.directory}/report-host-keys'\n"
    assert start in (units / f"{NAME}.service").read_text()
    placed = booted.files()
    assert booted.run().returncode == 0
    assert booted.files() == placed
    assert booted.run("--uninstall").returncode == 0
    assert booted.files() == before
    told = (booted.root / "units").read_text().splitlines()
    once = ["daemon-reload", f"enable --quiet {NAME}.path {NAME}.service", f"restart {NAME}.path"]
    assert told == [*once, *once, f"disable --now --quiet {NAME}.path {NAME}.service", "daemon-reload"]


@pytest.mark.skipif(find("systemd-analyze") is None, reason="systemd-analyze is missing: install systemd")
def test_the_units_are_such_as_systemd_reads(one_host: Host) -> None:
    Path(one_host.layout.booted).mkdir(parents=True)
    Path(one_host.layout.units).mkdir()
    assert one_host.run().returncode == 0
    units = [f"{one_host.layout.units}/{NAME}.{kind}" for kind in ("path", "service")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert NAME not in done.stderr, done.stderr


def test_where_there_is_no_systemd_crond_reports_them(one_host: Host) -> None:
    periodic = Path(one_host.layout.periodic)
    periodic.mkdir()
    before = one_host.files()
    assert f"by {periodic}/{NAME}" in one_host.run().stdout
    reported = one_host.root / "reported"
    reported.unlink()
    subprocess.run([periodic / NAME], check=True)
    assert reported.read_text() == "ssh-ed25519 AAAA\n"
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before


@pytest.mark.parametrize("kind", ["path", "service"])
def test_units_of_others_are_left_alone(one_host: Host, kind: str) -> None:
    Path(one_host.layout.booted).mkdir(parents=True)
    units = Path(one_host.layout.units)
    units.mkdir()
    (units / f"{NAME}.{kind}").write_text("[Unit]\n")
    before = one_host.files()
    done = one_host.run()
    assert (done.returncode, "run this again when they change" in done.stdout) == (0, True)
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before


@pytest.mark.parametrize("where", ["units", "periodic"])
def test_what_was_half_written_when_a_run_was_killed_goes_too(one_host: Host, where: str) -> None:
    places = {"units": [f"{NAME}.path", f"{NAME}.service"], "periodic": [NAME]}[where]
    directory = Path(getattr(one_host.layout, where))
    directory.mkdir()
    if where == "units":
        Path(one_host.layout.booted).mkdir(parents=True)
    before = one_host.files()
    assert one_host.run().returncode == 0
    for place in places:
        (directory / place).unlink()
        (directory / f"{place}.new").write_text("# Made")
    assert one_host.run("--uninstall").returncode == 0
    assert one_host.files() == before
    (directory / f"{places[0]}.new").write_text("theirs")
    assert one_host.run().returncode == 0
    assert one_host.run("--uninstall").returncode == 0
    assert (directory / f"{places[0]}.new").read_text() == "theirs"


def test_keys_that_change_while_they_are_reported_are_reported_again(one_host: Host) -> None:
    assert one_host.run().returncode == 0
    curl = one_host.root / "bin/curl"
    script = curl.read_text()
    # Each change comes soon after another, which Hatchway does not take.
    curl.write_text(
        script.replace(
            "case $* in\n        */host/v1/enroll",
            'echo x >>"$ROOT/times"; case $(grep -c x "$ROOT/times") in\n'
            '1) echo changed >"$ROOT/etc/ssh/host_key" ;;\n'
            "2) echo; echo HTTP status 429; exit 0 ;; esac\ncase $* in\n        */host/v1/enroll",
            1,
        )
    )
    report = subprocess.run(
        ["sh", one_host.directory / "report-host-keys"], capture_output=True, text=True, check=True
    )
    assert report.stdout == "SHA256:AAAA\n"
    assert (one_host.root / "times").read_text() == "x\n" * 3
    assert (one_host.root / "reported").read_text() == "changed\n"


def test_a_report_says_what_it_was_answered(host: Host) -> None:
    assert host.run().returncode == 0
    report = [host.shell, str(host.directory / "report-host-keys")]
    assert subprocess.run(report, capture_output=True, text=True, check=True).stdout == "SHA256:AAAA\n"
    (host.root / "answer").write_text("401")
    refused = subprocess.run(report, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (1, "HTTP status 401\n")
    (host.root / "etc/ssh/host_key").unlink()
    nothing = subprocess.run(report, capture_output=True, text=True, check=False)
    assert (nothing.returncode, nothing.stderr) == (1, "there is no host key that can be read\n")
