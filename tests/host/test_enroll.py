"""A host that registers itself: once, under its name, and again only when it is known no more."""

import itertools
from pathlib import Path

import pytest
from tests.host.pretend import API_URL, INSTANCE_ID, PEM, TOKEN, Done, Host

from hatchway.host.script import enrollment_script

ENROLLMENT_TOKEN = f"hwe_et-0123456789abcdef0_{'A' * 43}"


def enroll(host: Host, *arguments: str) -> Done:
    script = enrollment_script(
        api_url=API_URL, enrollment_token=ENROLLMENT_TOKEN, ca_certificate_pem=PEM, layout=host.layout
    )
    return host.run(*arguments, script=script)


def unregistered(host: Host) -> Host:
    (host.root / "registered").write_text(f'{{"instance_id":"{INSTANCE_ID}","token":"{TOKEN}"}}\n')
    return host


@pytest.fixture
def new_host(host: Host) -> Host:
    return unregistered(host)


@pytest.fixture
def one_new_host(one_host: Host) -> Host:
    return unregistered(one_host)


def registrations(host: Host) -> list[str]:
    asked = (host.root / "asked").read_text().splitlines()
    return [before for before, line in itertools.pairwise(asked) if line.endswith("/host/v1/enroll")]


def test_a_host_registers_once_and_is_set_up(new_host: Host) -> None:
    before = new_host.files()
    done = enroll(new_host, "--name", "web-7", "--address", "10.0.1.7")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"for the keys of {INSTANCE_ID}" in done.stdout
    assert TOKEN in (new_host.directory / "curl.conf").read_text()
    assert registrations(new_host) == ['{"name": "web-7", "private_ip": "10.0.1.7"}']
    placed = new_host.files()
    assert enroll(new_host, "--name", "web-7").returncode == 0
    assert new_host.files() == placed
    assert len(registrations(new_host)) == 1
    assert ENROLLMENT_TOKEN not in (new_host.root / "asked").read_text()
    assert ENROLLMENT_TOKEN not in "".join(placed.values())
    assert enroll(new_host, "--uninstall").returncode == 0
    assert new_host.files() == before


def test_a_host_that_is_known_no_more_registers_anew(one_new_host: Host) -> None:
    (one_new_host.root / "answer").write_text("200")
    assert enroll(one_new_host, "--address", "fd00::7").returncode == 0
    (one_new_host.root / "answer").write_text("401")
    (one_new_host.root / "registered-answer").write_text("200")
    done = enroll(one_new_host, "--name", "web-7")
    assert "registers anew" in done.stdout
    assert len(registrations(one_new_host)) == 2
    assert '"ipv6": "fd00::7"' in registrations(one_new_host)[0]


@pytest.mark.parametrize(
    ("status", "said"),
    [("401", "is not good"), ("409", "hatchway instance deregister web-7"), ("000", "HTTP status 000")],
)
def test_a_host_that_is_not_registered_is_left_as_it_was(one_new_host: Host, status: str, said: str) -> None:
    (one_new_host.root / "registered").write_text("the enrollment token is not good\n")
    (one_new_host.root / "registered-answer").write_text(status)
    before = one_new_host.files()
    done = enroll(one_new_host, "--name", "web-7")
    assert done.returncode == 1
    assert "(nothing was changed)" in done.stderr
    if status != "000":
        assert said in done.stderr
    assert one_new_host.files() == before


def test_a_host_whose_set_up_fails_keeps_what_it_registered_as(one_new_host: Host) -> None:
    sshd = one_new_host.root / "bin/sshd"
    whole = sshd.read_text()
    sshd.write_text(whole.replace("*Nonsense*", "*AuthorizedKeysCommandUser*"))
    done = enroll(one_new_host, "--name", "web-7")
    assert (done.returncode, f"registered, as {INSTANCE_ID}: run this again" in done.stderr) == (1, True)
    assert not one_new_host.drop_in.exists()
    sshd.write_text(whole)
    assert enroll(one_new_host, "--name", "web-7").returncode == 0
    assert len(registrations(one_new_host)) == 1


@pytest.mark.parametrize("arguments", [("--name", 'a"b'), ("--address", "x"), ("--name",), ("--shape", "x")])
def test_what_is_no_name_or_address_is_refused(one_new_host: Host, arguments: tuple[str, ...]) -> None:
    before = one_new_host.files()
    assert enroll(one_new_host, *arguments).returncode in (1, 2)
    assert one_new_host.files() == before


def test_what_is_no_enrollment_token_makes_no_script(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no enrollment token"):
        enrollment_script(api_url=API_URL, enrollment_token=TOKEN, ca_certificate_pem=PEM)
