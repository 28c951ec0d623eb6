"""The script that sets a host up, run against a host made of a few files and programs that pretend."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hatchway.domain.host_token import format_host_token
from hatchway.host.script import HostLayout, host_script

INSTANCE_ID = "i-0123456789abcdef0"
TOKEN = format_host_token(INSTANCE_ID, bytes(range(32)))
API_URL = "https://hatchway.example.test:8443"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB" + "A" * 60 + "\nAAAA==\n-----END CERTIFICATE-----\n"

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]

PROGRAMS = {
    # As far as the script asks: Include at the top, the first value counts, -t and -T.
    "sshd": r"""
        config=$3
        all() { if grep -q '^Include' "$config"; then cat "$config.d"/*.conf; fi; cat "$config"; }
        if all 2>/dev/null | grep -q Nonsense; then
            printf 'Bad configuration option: Nonsense\r\n' >&2
            exit 255
        fi
        if [ "$1" = -t ]; then exit 0; fi
        for keyword in AuthorizedKeysCommand AuthorizedKeysCommandUser PubkeyAuthentication; do
            value=$(all 2>/dev/null | sed -n "s/^$keyword //p" | head -n 1)
            printf '%s %s\n' "$(echo "$keyword" | tr A-Z a-z)" "${value:-none}"
        done
    """,
    "id": r"""
        if [ "$1" = -u ]; then cat "$ROOT/uid"; else [ -e "$ROOT/account" ]; fi
    """,
    "useradd": r"""
        echo "$@" >"$ROOT/account"
    """,
    "userdel": r"""
        rm "$ROOT/account"
    """,
    "chown": r"""
        echo "$@" >>"$ROOT/owners"
    """,
    "curl": r"""
        printf '%s\n' "$@" >"$ROOT/asked"
        cat "$ROOT/answer"
    """,
    "systemctl": r"""
        if [ "$1" = reload ]; then echo "$2" >>"$ROOT/reloads"; fi
    """,
}


@dataclass
class Host:
    root: Path
    shell: str = "sh"

    @property
    def layout(self) -> HostLayout:
        return HostLayout(
            directory=f"{self.root}/etc/hatchway",
            state=f"{self.root}/var/hatchway",
            sshd_config=f"{self.root}/etc/ssh/sshd_config",
            pid_file=f"{self.root}/run/sshd.pid",
            path=f"{self.root}/bin:/usr/bin:/bin",
        )

    @property
    def sshd_config(self) -> Path:
        return self.root / "etc/ssh/sshd_config"

    @property
    def drop_in(self) -> Path:
        return self.root / "etc/ssh/sshd_config.d/60-hatchway.conf"

    @property
    def directory(self) -> Path:
        return self.root / "etc/hatchway"

    def run(self, *arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        values = {"instance_id": INSTANCE_ID, "api_url": API_URL, "token": TOKEN, "ca_certificate_pem": PEM}
        text = host_script(**values | changes, layout=self.layout)
        # On standard input, as `hatchway host script … | ssh root@host sh` has it.
        return subprocess.run(
            [self.shell, "-s", "--", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def files(self) -> dict[str, str]:
        """Everything under etc and var: names with modes and contents."""
        found = {}
        for top in ("etc", "var"):
            for path in sorted((self.root / top).rglob("*")):
                content = path.read_text() if path.is_file() else ""
                found[f"{path.relative_to(self.root)} {path.stat().st_mode & 0o777:o}"] = content
        return found


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    for name in ("bin", "etc/ssh/sshd_config.d", "var", "run"):
        (tmp_path / name).mkdir(parents=True)
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\nROOT={shlex.quote(str(tmp_path))}\n{text}")
        program.chmod(0o755)
    (tmp_path / "uid").write_text("0")
    (tmp_path / "answer").write_text("200")
    made = Host(tmp_path, request.param)
    made.sshd_config.write_text(f"Include {made.sshd_config}.d/*.conf\nPubkeyAuthentication yes\n")
    return made


def test_setting_up_places_everything_and_reloads_sshd(host: Host) -> None:
    done = host.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"hatchway: sshd on this host now asks {API_URL} for the keys of {INSTANCE_ID}\n"
    assert host.drop_in.read_text().splitlines()[1:] == [
        f"AuthorizedKeysCommand {host.directory}/authorized-keys %u %f",
        "AuthorizedKeysCommandUser hatchway-keys",
    ]
    assert (host.directory / "ca.pem").read_text() == PEM
    assert (host.root / "reloads").read_text() == "ssh.service\n"
    assert "-r" in (host.root / "account").read_text().split()


def test_only_the_account_of_the_command_can_read_the_token(host: Host) -> None:
    host.run()
    with_token = [name for name, content in host.files().items() if TOKEN in content]
    assert with_token == ["etc/hatchway/curl.conf 400"]
    lines = (host.root / "owners").read_text().splitlines()
    owners = {path: owner for owner, path in (line.split() for line in lines)}
    assert owners[f"{host.directory}/curl.conf.new"] == "hatchway-keys"
    assert owners[f"{host.directory}/authorized-keys.new"] == "root"
    assert TOKEN not in (host.root / "asked").read_text()


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


def test_a_new_token_takes_the_old_one_s_place(host: Host) -> None:
    host.run()
    other = format_host_token(INSTANCE_ID, bytes(32))
    assert host.run(token=other).returncode == 0
    text = (host.directory / "curl.conf").read_text()
    assert other in text
    assert TOKEN not in text


def test_uninstalling_leaves_the_host_as_it_was(host: Host) -> None:
    before = host.files()
    host.run()
    assert host.files() != before
    done = host.run("--uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.files() == before
    assert not (host.root / "account").exists()
    assert (host.root / "reloads").read_text() == "ssh.service\nssh.service\n"
    assert host.run("--uninstall").returncode == 0


def test_another_authorized_keys_command_is_left_alone(host: Host) -> None:
    with host.sshd_config.open("a") as file:
        file.write("AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys\n")
    before = host.files()
    done = host.run()
    assert done.returncode == 1
    assert "'/usr/bin/sss_ssh_authorizedkeys'" in done.stderr
    assert host.files() == before
    assert not (host.root / "reloads").exists()


def test_a_configuration_that_includes_no_drop_ins_is_left_as_it_was_and_said(host: Host) -> None:
    host.sshd_config.write_text("PubkeyAuthentication yes\n")
    before = host.files()
    done = host.run()
    assert done.returncode == 1
    assert f"Include {host.sshd_config}.d/*.conf" in done.stderr
    assert host.files() == before
    assert not (host.root / "account").exists()
    assert not (host.root / "reloads").exists()


def test_a_configuration_that_sshd_does_not_accept_is_not_touched(host: Host) -> None:
    host.sshd_config.write_text("Nonsense yes\n")
    before = host.files()
    done = host.run()
    assert done.returncode == 1
    assert "Bad configuration option: Nonsense\n" in done.stderr
    assert host.files() == before


def test_a_drop_in_that_sshd_does_not_accept_is_undone(host: Host) -> None:
    before = host.files()
    sshd = host.root / "bin/sshd"
    sshd.write_text(sshd.read_text().replace("grep -q Nonsense", "grep -q AuthorizedKeysCommandUser"))
    done = host.run()
    assert done.returncode == 1
    assert "was undone" in done.stderr
    assert host.files() == before
    assert not (host.root / "reloads").exists()


def test_a_failed_update_keeps_what_worked(host: Host) -> None:
    host.run()
    worked = host.drop_in.read_text()
    host.sshd_config.write_text("PubkeyAuthentication yes\n")
    assert host.run().returncode == 1
    assert host.drop_in.read_text() == worked
    assert (host.directory / "authorized-keys").exists()


def test_without_root_nothing_is_tried(host: Host) -> None:
    (host.root / "uid").write_text("1000")
    before = host.files()
    done = host.run()
    assert done.returncode == 1
    assert "root" in done.stderr
    assert host.files() == before


def test_a_refused_token_is_an_error_that_says_what_to_do(host: Host) -> None:
    (host.root / "answer").write_text("403")
    done = host.run()
    assert done.returncode == 1
    assert f"hatchway host script {INSTANCE_ID}" in done.stderr


def test_a_control_plane_that_does_not_answer_yet_is_a_warning(host: Host) -> None:
    (host.root / "answer").write_text("000")
    done = host.run()
    assert done.returncode == 0
    assert "warning" in done.stdout


def test_without_a_way_to_make_accounts_nobody_runs_the_command(host: Host) -> None:
    (host.root / "bin/useradd").unlink()
    lean = host.root / "lean"
    lean.mkdir()
    for name in ("cat", "chmod", "cp", "mkdir", "mv", "rm", "sed", "tr", "grep", "head"):
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
            pid_file=host.layout.pid_file,
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
