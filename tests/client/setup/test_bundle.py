"""A bundle unpacked on somebody's machine: what its script makes of his files, and takes away again."""

import re
import shlex
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.host.pretend import SHELLS

from hatchway.client.setup.bundle import CA_FILE, Bundle, bundle_files, check_target, write_bundle
from hatchway.errors import BadUsage, CommandFailed
from hatchway.pki.certificate_authority import create_ca
from hatchway.pki.certificates import fingerprint

CA = create_ca("Hatchway CA of hatchway.example", ["hatchway.example"], datetime(2026, 11, 24, tzinfo=UTC))
SHA1 = x509.load_pem_x509_certificate(CA.certificate).fingerprint(hashes.SHA1()).hex().upper()
ALICE = Bundle(
    user="alice",
    profile="alice",
    endpoint_url="https://hatchway.example:8443",
    region="eu-central-1",
    places=("hatchway.example, port 8443", "hatchway.example, port 443"),
    ca=CA.certificate,
    api_has_ca=True,
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
)

Install = Callable[..., "subprocess.CompletedProcess[str]"]


def unpack(directory: Path, bundle: Bundle = ALICE) -> Path:
    target = directory / "her bundle"
    write_bundle(target, bundle_files(bundle), "hatchway-alice")
    return target


@pytest.fixture(params=SHELLS)
def install(request: pytest.FixtureRequest, tmp_path: Path) -> Install:
    """Runs the script of a bundle in her home directory."""
    bundle = unpack(tmp_path)
    (tmp_path / "home & garden").mkdir()

    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "HOME": str(tmp_path / "home & garden"),
            "PATH": "/usr/bin:/bin:/usr/sbin",
            **variables,
        }
        return subprocess.run(
            [shutil.which(request.param) or "", bundle / "install.sh", *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home & garden"


def seen(home: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(home)): (path.read_bytes().decode(), stat.S_IMODE(path.stat().st_mode))
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_the_profile_is_one_that_aws_tools_read_and_goes_again(
    install: Install, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = install()
    assert (done.returncode, done.stderr) == (0, "")
    assert ALICE.secret_access_key not in done.stdout
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    session = botocore.session.Session(profile="alice")
    assert session.get_scoped_config()["endpoint_url"] == ALICE.endpoint_url
    assert session.get_config_variable("region") == ALICE.region
    ca = Path(session.get_config_variable("ca_bundle"))
    assert ca.is_absolute()
    assert ca.read_bytes() == CA.certificate
    key = session.get_credentials()
    assert (key.access_key, key.secret_key) == (ALICE.access_key_id, ALICE.secret_access_key)
    assert {mode for _, mode in seen(home).values()} == {0o600}
    assert install("--remove").returncode == 0
    assert seen(home) == {}


def test_a_ca_of_the_environment_that_would_hide_the_profiles_is_pointed_out(install: Install) -> None:
    assert "AWS_CA_BUNDLE is set" in install(AWS_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt").stdout


def test_what_else_she_has_in_her_files_stays_as_it_is(install: Install, home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text(
        "# mine\n[profile work]\nregion = eu-west-1\n\n[default]\nregion = eu-west-1\n\n\n"
    )
    (home / ".aws/credentials").write_text("[work]\naws_access_key_id = A\n")
    (home / ".aws/credentials").chmod(0o600)
    before = seen(home)
    for profile in ("alice", "web.1"):
        assert install(PROFILE=profile).returncode == 0
    text = seen(home)[".aws/config"][0]
    assert "[profile web.1]\nregion = eu-central-1\n" in text
    assert f"ca_bundle = {home}/.aws/hatchway-web.1.crt\n" in text
    assert install("--remove", PROFILE="alice").returncode == 0
    assert "[profile web.1]" in seen(home)[".aws/config"][0]
    assert install("--remove", PROFILE="web.1").returncode == 0
    assert seen(home) == before


def test_a_last_line_that_does_not_end_is_not_joined_to_the_profile(install: Install, home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text("[profile work]\nregion = eu-west-1")
    assert install().returncode == 0
    assert seen(home)[".aws/config"][0].startswith("[profile work]\nregion = eu-west-1\n#")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config", "[profile alice]\n"),
        ("credentials", "[alice]\n"),
        # Two sections of one name make every AWS tool refuse the file: "Unable to parse config file".
        ("config", "[profile alice] \nregion = us-east-1\n"),
        ("config", "[profile alice]\r\nregion = us-east-1\r\n"),
        ("config", "[profile alice] # of before\n"),
        ("config", "[ profile\t 'alice' ]\n"),
        ("config", '[profile "alice"]\n'),
        ("credentials", "[alice]\r\naws_access_key_id = A\r\n"),
        ("credentials", "[ alice ] ; of before\n"),
    ],
)
def test_a_profile_that_is_there_is_left_alone(install: Install, home: Path, file: str, text: str) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / file).write_text(text)
    before = seen(home)
    done = install()
    assert done.returncode == 1
    assert "PROFILE=other" in done.stderr
    assert seen(home) == before
    # What has no mark of the script's is not its to take.
    install("--remove")
    assert seen(home) == before


def test_lines_that_lost_their_end_mark_are_not_taken_with_all_that_follows(
    install: Install, home: Path
) -> None:
    assert install().returncode == 0
    config = home / ".aws/config"
    config.write_text(
        config.read_text().replace("# Hatchway's profile alice ends here\n", "") + "[default]\n"
    )
    before = config.read_text()
    assert install("--remove").returncode == 0
    assert config.read_text() == before


def test_a_run_that_fails_leaves_nothing_behind(install: Install, home: Path, tmp_path: Path) -> None:
    (tmp_path / "her bundle/credentials").unlink()
    assert install().returncode != 0
    assert seen(home) == {}


def test_a_certificate_of_anothers_is_not_overwritten_nor_taken_away(install: Install, home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws/hatchway-alice.crt").write_text("another's")
    before = seen(home)
    done = install()
    assert done.returncode == 1
    assert "hatchway-alice.crt already" in done.stderr
    assert seen(home) == before
    done = install("--remove")
    assert (done.returncode, seen(home)) == (0, before)
    assert "nothing is taken away" in done.stdout


def test_what_cannot_be_added_to_keeps_all_of_it_away(install: Install, home: Path) -> None:
    (home / ".aws").mkdir()
    # For root, to whom every file is open, one that is none.
    (home / ".aws/credentials").mkdir()
    done = install()
    assert done.returncode != 0
    assert "nothing is installed" in done.stderr
    assert done.stdout == ""
    assert seen(home) == {}


def test_where_nothing_can_be_written_what_she_has_is_left_as_it_is(install: Install, home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws/credentials").write_text("[work]\naws_access_key_id = A\n")
    assert install().returncode == 0
    (home / ".aws/config.without-hatchway").mkdir()
    before = seen(home)
    done = install("--remove")
    assert done.returncode != 0
    assert "left as it is" in done.stderr
    assert seen(home) == before


def test_it_runs_by_a_relative_path_with_cdpath_and_tells_a_path_to_paste(
    install: Install, home: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["/bin/sh", "her bundle/install.sh"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "CDPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    command = done.stdout.splitlines()[-1].partition(": ")[2]
    assert shlex.split(command) == ["sudo", "sh", str(tmp_path / "her bundle/install.sh"), "--trust"]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a]b", "a/b", "$(id)"])
def test_what_cannot_name_a_profile_is_refused(install: Install, home: Path, name: str) -> None:
    if not name:
        assert install(PROFILE=name).returncode == 0  # As if it were not set.
        return
    done = install(PROFILE=name)
    assert done.returncode == 1
    assert "cannot name a profile" in done.stderr
    assert seen(home) == {}


def test_other_words_tell_what_there_is(install: Install) -> None:
    done = install("--help")
    assert done.returncode == 1
    assert "--untrust" in done.stderr


def test_only_root_changes_the_systems_trust(install: Install, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "id").write_text("#!/bin/sh\necho 1000\n")
    (fake / "id").chmod(0o755)
    for option in ("--trust", "--untrust"):
        done = install(option, PATH=f"{fake}:/usr/bin:/bin")
        assert done.returncode == 1
        assert "sudo" in done.stderr


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        ("trust", ["anchor --store {anchor}", "anchor --remove {anchor}"]),
        (
            "security",
            [
                "add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {anchor}",
                "remove-trusted-cert -d {anchor}",
                f"delete-certificate -Z {SHA1} /Library/Keychains/System.keychain",
            ],
        ),
    ],
)
def test_where_there_is_no_debian_the_systems_own_program_is_told(
    install: Install, tmp_path: Path, program: str, calls: list[str]
) -> None:
    script = tmp_path / "her bundle/install.sh"
    script.write_text(script.read_text().replace("/usr/local/share/ca-certificates", "/nowhere"))
    fake = tmp_path / "bin"
    fake.mkdir()
    for name in ("cat", "dirname", "cmp", "awk", "mktemp", "rm"):
        (fake / name).symlink_to(shutil.which(name) or "")
    for name, body in {"id": "echo 0", program: f'printf "%s\\n" "$*" >>"{tmp_path}/calls"'}.items():
        (fake / name).write_text(f"#!/bin/sh\n{body}\n")
        (fake / name).chmod(0o755)
    for option in ("--trust", "--untrust"):
        done = install(option, PATH=str(fake))
        assert (done.returncode, done.stderr) == (0, "")
    told = [
        re.sub(r"/\S*/(hatchway-[0-9a-f]{16}\.crt)", r"\1", line)
        for line in (tmp_path / "calls").read_text().splitlines()
    ]
    anchor = f"hatchway-{fingerprint(CA.certificate)[:16]}.crt"
    assert told == [call.format(anchor=anchor) for call in calls]


def test_a_root_whose_path_is_a_users_finds_debian_s_program(install: Install, tmp_path: Path) -> None:
    sbin, store, told = tmp_path / "sbin", tmp_path / "store", tmp_path / "told"
    for directory in (sbin, store):
        directory.mkdir()
    script = tmp_path / "her bundle/install.sh"
    text = script.read_text().replace("/usr/local/sbin:/usr/sbin:/sbin", str(sbin))
    script.write_text(text.replace("/usr/local/share/ca-certificates", str(store)))
    for name, body in {"id": "echo 0", "update-ca-certificates": f"echo told >{told}"}.items():
        (sbin / name).write_text(f"#!/bin/sh\n{body}\n")
        (sbin / name).chmod(0o755)
    fake = tmp_path / "bin"
    fake.mkdir()
    (sbin / "id").rename(fake / "id")
    done = install("--trust", PATH=f"{fake}:/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert told.exists()
    assert len(list(store.iterdir())) == 1


def test_a_zip_file_holds_the_same_for_its_owner_alone(tmp_path: Path) -> None:
    target = tmp_path / "alice.zip"
    files = bundle_files(ALICE)
    write_bundle(target, files, "hatchway-alice")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        assert {info.filename: info.external_attr >> 16 for info in archive.infolist()} == {
            f"hatchway-alice/{name}": mode for name, (_, mode) in files.items()
        }
        assert archive.read(f"hatchway-alice/{CA_FILE}") == CA.certificate
    directory = unpack(tmp_path)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name: path.read_text() for path in directory.iterdir()} == {
        name: text for name, (text, _) in files.items()
    }


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "alice.zip"
    there.write_text("mine")
    with pytest.raises(BadUsage, match="already exists"):
        check_target(there)
    with pytest.raises(BadUsage, match="there is no directory"):
        check_target(tmp_path / "nowhere" / "alice.zip")
    with pytest.raises(CommandFailed, match="File exists"):
        write_bundle(there, bundle_files(ALICE), "hatchway-alice")
    assert there.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["alice.zip"]


def test_the_instructions_name_what_to_reach_and_what_to_trust() -> None:
    text = bundle_files(ALICE)["README.txt"][0]
    assert "@" not in text.replace("@{u}", "")
    assert "hatchway.example, port 443" in text
    for command in (
        "update-ca-certificates",
        "trust anchor",
        "security add-trusted-cert",
        "Import-Certificate",
    ):
        assert command in text
    assert ALICE.secret_access_key not in text
    public = bundle_files(replace(ALICE, ca=None, api_has_ca=False))
    assert CA_FILE not in public
    assert "ca_bundle" not in public["config"][0]
    assert CA_FILE not in public["README.txt"][0]
    assert "nothing that your system must be told to trust" in public["README.txt"][0]
    gateway_alone = bundle_files(replace(ALICE, api_has_ca=False))
    assert "ca_bundle" not in gateway_alone["config"][0]
    assert "Import-Certificate" in gateway_alone["README.txt"][0]
