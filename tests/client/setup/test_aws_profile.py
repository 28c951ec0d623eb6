import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from hatchway.client.setup.aws_profile import (
    AwsProfile,
    SharedFiles,
    check_profile_name,
    with_section,
    write_profile,
)
from hatchway.errors import BadUsage, CommandFailed


def profile(name: str = "lab", ca_bundle: Path | None = Path("/ca.pem")) -> AwsProfile:
    return AwsProfile(
        name=name,
        endpoint_url="https://127.0.0.1:8443",
        region="eu-west-1",
        ca_bundle=ca_bundle,
        access_key_id="AKIANEW",
        secret_access_key="a/secret+",
    )


@pytest.fixture
def files(tmp_path: Path) -> SharedFiles:
    return SharedFiles(tmp_path / "aws" / "config", tmp_path / "aws" / "credentials")


@pytest.mark.parametrize("name", ["lab", "default", "a.b@c-d_e+f"])
def test_botocore_reads_what_was_written(
    files: SharedFiles, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile(files, profile(name))
    for variable in [variable for variable in os.environ if variable.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(files.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files.credentials))
    session = botocore.session.Session(profile=name)
    assert session.get_config_variable("region") == "eu-west-1"
    assert session.get_config_variable("ca_bundle") == "/ca.pem"
    assert session.create_client("ec2").meta.endpoint_url == "https://127.0.0.1:8443"
    credentials = session.get_credentials()
    assert (credentials.access_key, credentials.secret_key) == ("AKIANEW", "a/secret+")
    assert credentials.token is None


def test_what_else_is_in_the_files_stays(files: SharedFiles) -> None:
    files.config.parent.mkdir()
    files.config.write_text(
        "# mine\n[default]\nregion = us-west-2\n\n[profile lab]\n; why\nregion=old\ns3 =\n"
        "  addressing_style = path\noutput = json\n\n[profile other]\nregion = ap-south-1\n"
    )
    files.credentials.write_text(
        "[lab]\naws_access_key_id = AKIAOLD\naws_session_token = old\n"
        "[other]\naws_access_key_id = AKIAOTHER\n"
    )
    write_profile(files, profile())
    assert files.config.read_text() == (
        "# mine\n[default]\nregion = us-west-2\n\n[profile lab]\n; why\ns3 =\n"
        "  addressing_style = path\noutput = json\nregion = eu-west-1\n"
        "endpoint_url = https://127.0.0.1:8443\nca_bundle = /ca.pem\n\n[profile other]\nregion = ap-south-1\n"
    )
    assert files.credentials.read_text() == (
        "[lab]\naws_access_key_id = AKIANEW\naws_secret_access_key = a/secret+\n"
        "[other]\naws_access_key_id = AKIAOTHER\n"
    )


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
@pytest.mark.parametrize("field", ["access_key_id", "secret_access_key", "region", "endpoint_url"])
def test_no_value_brings_a_setting_of_its_own(field: str, end: str, files: SharedFiles) -> None:
    write_profile(files, profile())
    before = files.config.read_text(), files.credentials.read_text()
    hostile: Any = (
        f"x{end}credential_process = touch pwned{end}[default]{end}credential_process = touch pwned"
    )
    with pytest.raises(CommandFailed, match="characters that no value"):
        write_profile(files, replace(profile(), **{field: hostile}))
    assert (files.config.read_text(), files.credentials.read_text()) == before


def test_writing_twice_changes_nothing(files: SharedFiles) -> None:
    write_profile(files, profile("other"))
    write_profile(files, profile())
    before = (files.config.read_text(), files.credentials.read_text())
    write_profile(files, profile())
    assert (files.config.read_text(), files.credentials.read_text()) == before


def test_a_ca_bundle_that_is_not_needed_is_taken_out(files: SharedFiles) -> None:
    write_profile(files, profile())
    write_profile(files, profile(ca_bundle=None))
    assert "ca_bundle" not in files.config.read_text()


def test_only_the_owner_can_read_them_also_when_others_could(files: SharedFiles) -> None:
    files.credentials.parent.mkdir()
    files.credentials.touch(mode=0o644)
    write_profile(files, profile())
    assert stat.S_IMODE(files.credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.config.stat().st_mode) == 0o600


def test_a_file_behind_a_symbolic_link_is_written_and_the_link_stays(files: SharedFiles) -> None:
    files.config.parent.mkdir()
    real = files.config.parent.parent / "dotfiles"
    real.write_text("[default]\n")
    files.config.symlink_to(real)
    write_profile(files, profile())
    assert files.config.is_symlink()
    assert "[profile lab]" in real.read_text()


def test_a_file_that_aws_tools_could_not_read_is_left_alone(files: SharedFiles) -> None:
    files.config.parent.mkdir()
    files.credentials.write_text("no section\n")
    with pytest.raises(CommandFailed, match="damaged"):
        write_profile(files, profile())
    assert files.credentials.read_text() == "no section\n"
    assert not files.config.exists()


def test_what_is_no_file_is_neither_waited_for_nor_replaced(files: SharedFiles) -> None:
    files.credentials.parent.mkdir()
    os.mkfifo(files.credentials.parent / "pipe")
    files.credentials.symlink_to("pipe")
    with pytest.raises(CommandFailed, match="is no file"):
        write_profile(files, profile())
    assert stat.S_ISFIFO(files.credentials.stat().st_mode)
    assert not files.config.exists()


def test_the_environment_says_where_the_files_are() -> None:
    assert SharedFiles.find({"HOME": "/home/alice"}) == SharedFiles(
        Path("/home/alice/.aws/config"), Path("/home/alice/.aws/credentials")
    )
    assert SharedFiles.find(
        {"HOME": "/home/alice", "AWS_CONFIG_FILE": "/a", "AWS_SHARED_CREDENTIALS_FILE": "/b"}
    ) == SharedFiles(Path("/a"), Path("/b"))


def test_a_quoted_header_is_the_same_section() -> None:
    assert with_section('[profile "lab"]\nregion = x\n', "profile lab", {"region": "y"}) == (
        '[profile "lab"]\nregion = y\n'
    )


@pytest.mark.parametrize("name", ["", "a b", "a]b", "a\nb", "é", "a" * 65])
def test_names_that_cannot_be_a_section_are_refused(name: str) -> None:
    with pytest.raises(BadUsage):
        check_profile_name(name)


def test_the_secret_is_not_in_the_repr() -> None:
    assert "a/secret+" not in repr(profile())
