"""Where credentials, region, endpoint URL and CA bundle come from."""

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import BinaryIO, NoReturn

import pytest

from hatchway.client.api import botocore_session
from hatchway.client.api.botocore_session import ask_at_terminal
from hatchway.client.api.http_connection import TIMEOUT
from hatchway.client.api.profile import Profile, ProfileOptions, api_errors
from hatchway.client.connection.retry import RetryBudget
from hatchway.client.errors import ApiError, NotConfigured
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate

CONFIG = """
[profile lab]
region = eu-west-1
endpoint_url = https://profile.example
ca_bundle = /profile/ca.pem
aws_access_key_id = AKIALAB
aws_secret_access_key = lab

[profile split]
region = eu-west-1
services = split
endpoint_url = https://profile.example

[services split]
ec2 =
  endpoint_url = https://ec2.example
"""

ROLE = """
[profile base]
aws_access_key_id = AKIALAB
aws_secret_access_key = lab

[profile role]
region = eu-west-1
source_profile = base
role_arn = arn:aws:iam::123456789012:role/operator
endpoint_url = http://127.0.0.1:{port}
"""


@pytest.fixture
def nobody(aws_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the role of a profile is asked for: nobody listens there yet."""
    monkeypatch.setattr("hatchway.client.api.profile.ROLE_CACHE", str(tmp_path / "roles"))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0)
        aws_environment.write_text(ROLE.format(port=sock.getsockname()[1]))
        yield sock


def test_an_api_that_is_just_restarting_is_waited_for_where_a_role_is_asked_for_too(
    nobody: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.client.connection.retry.RETRY_SECONDS", 0.1)
    told: list[str] = []
    with pytest.raises(ApiError, match="AssumeRole: Could not connect to the endpoint URL"):
        Profile(ProfileOptions(profile="role"), RetryBudget(told.append)).credentials()
    (line,) = told
    assert "API listens there: trying again for" in line


def test_one_that_says_nothing_is_asked_for_a_role_once(
    nobody: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.client.api.botocore_session.TIMEOUT", 0.1)
    nobody.listen()
    with pytest.raises(
        ApiError, match=r"AssumeRole: Read timeout on endpoint URL: .*: it took the connection"
    ):
        Profile(ProfileOptions(profile="role")).credentials()
    nobody.accept()[0].close()
    with pytest.raises(BlockingIOError):
        nobody.accept()


def test_a_profile_gives_everything(aws_environment: Path) -> None:
    aws_environment.write_text(CONFIG)
    profile = Profile(ProfileOptions(profile="lab"))
    assert profile.region == "eu-west-1"
    assert profile.ca_bundle == "/profile/ca.pem"
    assert profile.endpoint_url("ec2") == "https://profile.example"
    assert profile.credentials().access_key_id == "AKIALAB"


def test_keys_that_are_renewed_in_the_file_are_those_that_are_used_from_then_on(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    clock = SimpleNamespace(monotonic=count(100.0, 60.0).__next__)
    monkeypatch.setattr("hatchway.client.api.profile.time", clock)
    aws_environment.write_text(CONFIG)
    profile = Profile(ProfileOptions(profile="lab"))
    assert profile.credentials().access_key_id == "AKIALAB"
    aws_environment.write_text(CONFIG.replace("AKIALAB", "AKIANEW"))
    assert profile.credentials().access_key_id == "AKIANEW"
    # While somebody writes it, it may be half there.
    aws_environment.write_text("[profile lab")
    assert profile.credentials().access_key_id == "AKIANEW"


def test_the_environment_names_the_profile(aws_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment.write_text(CONFIG)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    profile = Profile(ProfileOptions())
    assert profile.region == "eu-west-1"
    assert profile.credentials().access_key_id == "AKIAEXAMPLE"


def test_an_option_goes_before_the_environment_and_that_before_the_profile(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_environment.write_text(CONFIG)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://environment.example")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/environment/ca.pem")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    profile = Profile(ProfileOptions(profile="lab"))
    assert profile.endpoint_url("ec2") == "https://environment.example"
    assert profile.ca_bundle == "/environment/ca.pem"
    assert profile.region == "us-west-2"
    options = ProfileOptions(
        profile="lab", region="us-east-2", endpoint_url="https://option.example", ca_bundle="/option/ca.pem"
    )
    profile = Profile(options)
    assert profile.endpoint_url("ec2") == "https://option.example"
    assert profile.ca_bundle == "/option/ca.pem"
    assert profile.region == "us-east-2"


def test_a_service_s_own_endpoint_url_goes_before_the_common_one(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_environment.write_text(CONFIG)
    profile = Profile(ProfileOptions(profile="split"))
    assert profile.endpoint_url("ec2") == "https://ec2.example"
    assert profile.endpoint_url("ec2-instance-connect") == "https://profile.example"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://environment.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2_INSTANCE_CONNECT", "https://connect.example")
    assert profile.endpoint_url("ec2") == "https://environment.example"
    assert profile.endpoint_url("ec2-instance-connect") == "https://connect.example"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    with pytest.raises(NotConfigured, match="no endpoint URL"):
        Profile(ProfileOptions(profile="split")).endpoint_url("ec2")


def test_botocore_finds_the_same_endpoint_url(aws_environment: Path) -> None:
    aws_environment.write_text(CONFIG)
    profile = Profile(ProfileOptions(profile="split"))
    for service in ("ec2", "ec2-instance-connect"):
        own = profile._session.create_client(service)
        assert own.meta.endpoint_url == profile.endpoint_url(service)


def test_without_an_endpoint_url_nobody_is_asked_and_least_of_all_aws(aws_environment: Path) -> None:
    with pytest.raises(
        NotConfigured,
        match=r"no endpoint URL is configured: give --profile \(or AWS_PROFILE\), or --endpoint-url",
    ):
        Profile(ProfileOptions(region="us-east-1")).api("ec2")


def test_what_is_missing_is_said(aws_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotConfigured, match="AWS_REGION"):
        _ = Profile(ProfileOptions()).region
    with pytest.raises(NotConfigured, match="nowhere"):
        _ = Profile(ProfileOptions(profile="nowhere")).region
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NotConfigured, match="no credentials"):
        Profile(ProfileOptions(region="us-east-1")).credentials()


@pytest.mark.parametrize(
    "url",
    [
        "foo",
        "https://",
        "ftp://h",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://a b",
        "\n  a = b",
        "https://h:0",
    ],
)
def test_an_endpoint_url_that_is_none_is_refused(aws_environment: Path, url: str) -> None:
    aws_environment.write_text(f"[profile lab]\nregion = eu-west-1\nendpoint_url = {url}\n")
    with pytest.raises(NotConfigured, match=r"endpoint URL|makes no sense"):
        Profile(ProfileOptions(profile="lab")).api("ec2")


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "[profile lab",
        "[profile lab]\nservices = s\n[services s]\nec2 = foo",
        "[profile lab]\nservices =\n  a = b\n[services s]\nec2 =\n  a = b",
        "[profile lab]\nregion =\n  a = b",
        "[profile lab]\nregion = a b",
        "[profile lab]\nregion = eu-west-1\nretry_mode = foo",
    ],
)
def test_a_configuration_of_odd_content_is_an_error_in_words(aws_environment: Path, text: str) -> None:
    aws_environment.write_text(f"{text}\n")
    with pytest.raises(NotConfigured):
        Profile(ProfileOptions(profile="lab")).api("ec2")


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_that_cannot_be_read_is_named_with_what_is_missing(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    aws_environment.write_text("[profile lab]\nregion = eu-west-1\nendpoint_url = https://profile.example\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    directory = aws_environment.parent / "a directory"
    directory.mkdir()
    monkeypatch.setenv(variable, str(directory))
    with pytest.raises(NotConfigured, match=r"; .*a directory cannot be read \(Is a directory\)"):
        profile = Profile(ProfileOptions(profile="lab"))
        assert profile.region
        profile.credentials()


def test_whoever_waits_long_for_an_answer_waits_no_longer_for_a_connection(aws_environment: Path) -> None:
    profile = Profile(ProfileOptions(region="us-east-1", endpoint_url="https://api.example"))
    config = profile.api("hatchway", timeout=900).meta.config
    assert (config.connect_timeout, config.read_timeout) == (TIMEOUT, 900)
    config = profile.api("hatchway", timeout=1).meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 1)


def test_sts_is_given_no_longer_for_an_answer_than_for_a_connection_and_others_are(
    aws_environment: Path,
) -> None:
    profile = Profile(ProfileOptions(region="us-east-1", endpoint_url="https://api.example"))
    assert profile.api("sts").meta.config.read_timeout == TIMEOUT
    assert profile.api("ec2").meta.config.read_timeout == botocore_session.ANSWER_TIMEOUT > TIMEOUT


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_api_that_says_nothing_is_given_up_and_not_asked_again(
    nobody: socket.socket, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    # TLS is part of the connection.
    monkeypatch.setattr(botocore_session, "TIMEOUT" if scheme == "https" else "ANSWER_TIMEOUT", 0.1)
    nobody.listen()
    url = f"{scheme}://127.0.0.1:{nobody.getsockname()[1]}"
    client = Profile(ProfileOptions(region="us-east-1", endpoint_url=url)).api("hatchway")
    said = "Read timeout on endpoint URL: .*: it took the connection and said nothing in time: see"
    with pytest.raises(ApiError, match=said), api_errors("ListTunnels"):
        client.list_tunnels()
    nobody.accept()[0].close()
    with pytest.raises(BlockingIOError):
        nobody.accept()


def test_a_name_that_cannot_be_looked_up_just_now_is_not_called_unknown(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", away)
    profile = Profile(ProfileOptions(region="us-east-1", endpoint_url="https://api.example"))
    told = "nobody says what this name leads to: see that the network and the DNS are there"
    with pytest.raises(ApiError, match=told):
        profile.api_client.describe_instances()
    with pytest.raises(ApiError, match=told), api_errors("ListTunnels"):
        profile.api("hatchway", timeout=1).list_tunnels()


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("value", ["a\udcffb", "a\u0141b", "a b", "a\nHost: b"])
def test_credentials_that_no_api_gives_are_an_error_in_words(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    for more in ("", "[default]\nservices = x\n"):
        # By ourselves, and by botocore.
        aws_environment.write_text(more)
        with pytest.raises(NotConfigured, match="contains characters that are not allowed: copy it again"):
            Profile(ProfileOptions(region="us-east-1")).credentials()


@pytest.mark.parametrize("process", ["/bin/false", "/bin/echo x", "/nonexistent", "/bin/echo []"])
def test_a_program_that_gives_no_credentials_is_an_error_in_words(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    aws_environment.write_text(f"[profile lab]\nregion = eu-west-1\ncredential_process = {process}\n")
    with pytest.raises(NotConfigured):
        Profile(ProfileOptions(profile="lab")).credentials()


SSO = "sso_start_url = https://sso.example/start\nsso_region = eu-west-1\nsso_account_id = 123456789012"


@pytest.mark.parametrize(
    ("settings", "to_do"),
    [
        (
            "credential_process = /bin/false",
            "credential_process of this profile says when you run it by hand",
        ),
        ("credential_process = /bin/echo x", "prints no JSON: see what it says when you run it by hand"),
        (f"{SSO}\nsso_role_name = operator", "does not exist: sign in by 'aws sso login' with this profile"),
        (
            "role_arn = arn:aws:iam::123456789012:role/x\ncredential_source = EcsContainer",
            "see that what credential_source of this profile names is here",
        ),
    ],
)
def test_credentials_that_cannot_be_had_say_what_to_do(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch, settings: str, to_do: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://h.example")
    aws_environment.write_text(f"[profile lab]\nregion = eu-west-1\n{settings}\n")
    with pytest.raises(NotConfigured, match=to_do):
        Profile(ProfileOptions(profile="lab")).credentials()


def test_a_profile_that_is_not_there_says_where_it_was_looked_for(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(NotConfigured, match=r"could not be found: check --profile .*AWS_CONFIG_FILE"):
        Profile(ProfileOptions(profile="labb")).credentials()


def test_the_code_of_a_device_is_not_read_from_what_ssh_says_to_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_terminal(path: Path, *_how: str) -> BinaryIO:
        raise OSError(errno.ENXIO, "No such device or address", str(path))

    monkeypatch.setattr(Path, "open", no_terminal)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: pytest.fail("standard input is read"))
    with pytest.raises(NotConfigured, match=r"MFA code for arn:x: no terminal .* 'hatchway hosts'"):
        ask_at_terminal("Enter MFA code for arn:x: ")


def test_a_number_that_is_none_is_an_error_in_words(
    aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://h")
    with pytest.raises(NotConfigured, match="makes no sense"):
        Profile(ProfileOptions(region="us-east-1")).api("ec2")


@pytest.mark.parametrize(
    ("environment", "hint"),
    [("", "it comes from no CA in {other}: give the server's with --ca-bundle"), ("{other}", "unset it")],
    ids=["an option", "the environment"],
)
def test_of_a_server_of_an_unknown_ca_the_bundle_is_named_that_was_asked(
    environment: str, hint: str, aws_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    now = datetime.now(UTC)
    other.write_bytes(create_ca("Another CA", ["localhost"], now).certificate)
    shown = issue_server_certificate(create_ca("Its CA", ["localhost"], now), ["localhost"], now)
    (tmp_path / "server.pem").write_bytes(shown.certificate + shown.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    if environment:
        monkeypatch.setenv("AWS_CA_BUNDLE", environment.format(other=other))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}"
        options = ProfileOptions(region="eu-west-1", endpoint_url=url, ca_bundle=str(other))

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    with client, suppress(OSError), context.wrap_socket(client, server_side=True):
                        pass

        serving = Thread(target=refuse)
        serving.start()
        try:
            with pytest.raises(ApiError) as failed, api_errors("DescribeVpcs"):
                Profile(options).api("ec2", timeout=10).describe_vpcs()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()
    assert hint.format(other=other) in str(failed.value)
