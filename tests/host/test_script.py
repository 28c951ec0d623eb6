"""The script that sets a host up, run against a host made of a few files and programs that pretend."""

import shlex
import shutil
import subprocess
from typing import Any

import pytest
from tests.host.pretend import API_URL, INSTANCE_ID, PEM, TOKEN, Host

from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.host.script import HostLayout, host_script


def test_setting_up_places_everything_reloads_sshd_and_says_what_was_seen(host: Host) -> None:
    host.start_sshd(f"sshd: {host.root}/bin/sshd -D [listener] 0 of 10-100 startups\0")
    done = host.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"hatchway: sshd on this host is set up to ask {API_URL} for the keys of {INSTANCE_ID}",
        f"hatchway: seen: {API_URL} answers this host",
        "hatchway: seen: by its configuration sshd (process 812) asks Hatchway for keys of:"
        " users yet to be made, root, ec2-user",
        "hatchway: seen: Hatchway knows this host by SHA256:AAAA",
        "hatchway: not seen: keys that this host will have: run this again when they change",
        "hatchway: seen: sshd (process 812) let in a key that was made for this,"
        " for ec2-user at 127.0.0.1 port 2222",
    ]
    assert host.drop_in.read_text().splitlines()[1:] == [
        f"AuthorizedKeysCommand {host.directory}/authorized-keys %u %f",
        "AuthorizedKeysCommandUser hatchway-keys",
    ]
    assert (host.directory / "ca.pem").read_text() == PEM
    assert (host.root / "reloads").read_text() == "ssh.service\n"
    assert "-r" in (host.root / "account").read_text().split()


def test_only_the_account_of_the_command_can_read_the_token(one_host: Host) -> None:
    one_host.run()
    with_token = [name for name, content in one_host.files().items() if TOKEN in content]
    assert with_token == ["etc/hatchway-host/curl.conf 400"]
    lines = (one_host.root / "owners").read_text().splitlines()
    owners = {path: owner for owner, path in (line.split() for line in lines)}
    assert owners[f"{one_host.directory}/curl.conf.new"] == "hatchway-keys"
    assert owners[f"{one_host.directory}/authorized-keys.new"] == "root"
    assert TOKEN not in (one_host.root / "asked").read_text()


def test_sshd_would_run_the_command_as_far_as_its_modes_go(host: Host) -> None:
    host.run()
    assert (host.directory / "authorized-keys").stat().st_mode & 0o777 == 0o755
    assert host.directory.stat().st_mode & 0o777 == 0o755
    subprocess.run([host.shell, "-n", host.directory / "authorized-keys"], check=True)


def test_a_second_run_changes_nothing(host: Host) -> None:
    host.run()
    before = host.files()
    assert host.run().returncode == 0
    assert host.files() == before


def test_a_new_token_takes_the_old_one_s_place(one_host: Host) -> None:
    one_host.run()
    other = HOST_TOKEN.write(BearerToken(INSTANCE_ID, bytes(32)))
    assert one_host.run(token=other).returncode == 0
    text = (one_host.directory / "curl.conf").read_text()
    assert other in text
    assert TOKEN not in text


def test_uninstalling_leaves_the_host_as_it_was(host: Host) -> None:
    before = host.files()
    host.run()
    assert host.files() != before
    done = host.run("--uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.files() == before
    assert (host.root / "reloads").read_text() == "ssh.service\nssh.service\n"
    assert host.run("--uninstall").returncode == 0


def test_a_configuration_that_includes_no_drop_ins_is_left_as_it_was_and_said(one_host: Host) -> None:
    one_host.sshd_config.write_text("PubkeyAuthentication yes\n")
    before = one_host.files()
    done = one_host.run()
    assert done.returncode == 1
    assert f"Include {one_host.sshd_config}.d/*.conf" in done.stderr
    assert one_host.files() == before
    assert not (one_host.root / "reloads").exists()


def test_a_configuration_that_sshd_does_not_accept_is_not_touched(one_host: Host) -> None:
    one_host.sshd_config.write_text("Nonsense yes\n")
    before = one_host.files()
    done = one_host.run()
    assert done.returncode == 1
    assert "Bad configuration option: Nonsense (nothing was changed)\n" in done.stderr
    assert one_host.files() == before


def test_a_drop_in_that_sshd_does_not_accept_is_undone(host: Host) -> None:
    before = host.files()
    sshd = host.root / "bin/sshd"
    sshd.write_text(sshd.read_text().replace("*Nonsense*", "*AuthorizedKeysCommandUser*"))
    done = host.run()
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert host.files() == before
    assert not (host.root / "reloads").exists()


def test_a_failed_update_keeps_what_worked(host: Host) -> None:
    host.run()
    worked = host.drop_in.read_text()
    host.sshd_config.write_text("PubkeyAuthentication yes\n")
    assert host.run().returncode == 1
    assert host.drop_in.read_text() == worked
    assert (host.directory / "authorized-keys").exists()


def test_without_root_nothing_is_tried(one_host: Host) -> None:
    (one_host.root / "uid").write_text("1000")
    before = one_host.files()
    done = one_host.run()
    assert done.returncode == 1
    assert "root" in done.stderr
    assert one_host.files() == before


def test_a_refused_token_is_an_error_that_says_what_to_do(host: Host) -> None:
    (host.root / "answer").write_text("403")
    before = host.files()
    done = host.run()
    assert done.returncode == 1
    assert f"hatchway host script {INSTANCE_ID}" in done.stderr
    assert host.files() == before


def test_a_control_plane_that_does_not_answer_yet_is_a_warning(one_host: Host) -> None:
    (one_host.root / "answer").write_text("000")
    (one_host.root / "curl-status").write_text("7")
    done = one_host.run()
    assert done.returncode == 0
    assert "does not answer this host yet (curl: (7) Why it failed)" in done.stdout
    assert "answers this host" not in done.stdout
    assert "000" not in done.stdout


def test_only_a_run_that_succeeds_uses_the_new_token(one_host: Host) -> None:
    asked = one_host.root / "asked"
    one_host.sshd_config.write_text("PubkeyAuthentication no\n")
    assert one_host.run().returncode == 1
    assert asked.read_text().count("/host/v1/authorized-keys") == asked.read_text().count("trial=yes") == 1
    asked.unlink()
    one_host.sshd_config.write_text(f"Include {one_host.sshd_config}.d/*.conf\n")
    assert one_host.run().returncode == 0
    first, second, _ = asked.read_text().split("/host/v1/authorized-keys")
    assert "trial=yes" in first
    assert "trial" not in second


def test_a_certificate_that_does_not_fit_is_told_of_in_curls_own_words(one_host: Host) -> None:
    (one_host.root / "curl-status").write_text("60")
    done = one_host.run()
    assert done.returncode == 1
    assert "(curl: (60) Why it failed)" in done.stderr
    assert "More details" not in done.stderr


@pytest.mark.parametrize(("answer", "status"), [("000", "60"), ("404", "0"), ("302", "0")])
def test_what_can_never_be_this_hosts_control_plane_is_an_error(
    one_host: Host, answer: str, status: str
) -> None:
    (one_host.root / "answer").write_text(answer)
    (one_host.root / "curl-status").write_text(status)
    before = one_host.files()
    done = one_host.run()
    assert done.returncode == 1
    assert f"hatchway host script {INSTANCE_ID}" in done.stderr
    assert one_host.files() == before


def test_without_a_way_to_make_accounts_nobody_runs_the_command(host: Host) -> None:
    (host.root / "bin/useradd").unlink()
    lean = host.root / "lean"
    lean.mkdir()
    programs = "cat chmod cp dirname env grep head ls mkdir mv readlink rm rmdir sed tr"
    for name in programs.split():
        found = shutil.which(name)
        assert found is not None
        (lean / name).symlink_to(found)
    text = host_script(
        instance_id=INSTANCE_ID,
        api_url=API_URL,
        token=TOKEN,
        ca_certificate_pem=PEM,
        layout=HostLayout(
            directory=host.layout.directory,
            state=host.layout.state,
            sshd_config=host.layout.sshd_config,
            proc=host.layout.proc,
            path=f"{host.root}/bin:{lean}",
        ),
    )
    shell = shutil.which(host.shell)
    assert shell is not None
    done = subprocess.run([shell, "-s"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "AuthorizedKeysCommandUser nobody" in host.drop_in.read_text()


def test_an_unknown_argument_is_refused(host: Host) -> None:
    before = host.files()
    assert host.run("--remove").returncode == 2
    assert host.files() == before


def test_a_script_that_was_cut_short_does_nothing(host: Host) -> None:
    text = host_script(
        instance_id=INSTANCE_ID, api_url=API_URL, token=TOKEN, ca_certificate_pem=PEM, layout=host.layout
    )
    before = host.files()
    whole = text[: text.rindex("\nmain ")]
    for length in range(0, len(whole), 997):
        subprocess.run(
            [host.shell, "-s"], input=whole[:length], capture_output=True, text=True, timeout=60, check=False
        )
    assert host.files() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_id": "i-1; id"},
        {"instance_id": "i-0123456789abcdef1"},
        {"api_url": "http://hatchway.example.test"},
        {"api_url": "https://hatchway.example.test/$(id)"},
        {"api_url": "https://hatchway.example.test/'"},
        {"api_url": "https://user@hatchway.example.test"},
        {"api_url": "https://hatchway.example.test/?a=b"},
        {"api_url": "https://hatchway.example.test\n"},
        {"token": TOKEN + "\nheader = x"},
        {"token": "secret"},
        {"ca_certificate_pem": ""},
        {"ca_certificate_pem": PEM.replace("AAAA==", "$(id)")},
        {"ca_certificate_pem": PEM.replace("-----END", "END_OF_CERTIFICATE\nid\n-----END")},
        {"layout": HostLayout(directory="/etc/hatch way")},
        {"layout": HostLayout(directory="/etc/%h")},
        {"layout": HostLayout(path="/bin;id")},
    ],
)
def test_a_value_that_could_mean_something_to_a_shell_is_refused(changes: dict[str, Any]) -> None:
    values = {"instance_id": INSTANCE_ID, "api_url": API_URL, "token": TOKEN, "ca_certificate_pem": PEM}
    with pytest.raises(ValueError, match=r"."):
        host_script(**values | changes)


@pytest.mark.parametrize(
    "api_url",
    ["https://h", "https://127.0.0.1:8443/", "https://[fd00::1]:8443", "https://hatchway.example.test/a/b-c"],
)
def test_every_ordinary_url_serves(api_url: str) -> None:
    text = host_script(instance_id=INSTANCE_ID, api_url=api_url, token=TOKEN, ca_certificate_pem=PEM)
    assert f"api_url={shlex.quote(api_url.removesuffix('/'))}\n" in text


def test_what_stands_around_certificates_is_left_out() -> None:
    noisy = f"subject=CN = test\n{PEM}\n# $(id)\n{PEM}".replace("\n", "\r\n")
    text = host_script(instance_id=INSTANCE_ID, api_url=API_URL, token=TOKEN, ca_certificate_pem=noisy)
    assert f"<<'END_OF_CERTIFICATE'\n{PEM}{PEM}END_OF_CERTIFICATE\n" in text
