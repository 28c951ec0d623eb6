"""What stands in the environment and in the shared configuration files in so many words: no botocore needed.

The rules are botocore's (AWS SDKs and Tools Reference Guide, "Shared config and credentials files"). Wherever
they lead further than to a plain value, `find_simple` says so, and botocore looks.
"""

from __future__ import annotations

import configparser
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEADING_ELSEWHERE: Final = ("role_", "source_", "credential_", "web_identity", "sso_", "login_", "services")
"""How settings begin by which credentials or URLs come from elsewhere."""

_ELSEWHERE: Final = (
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CREDENTIAL_EXPIRATION",
)
_PROFILE_SECTION: Final = re.compile(r"""profile[ \t]+(?:"([^"\\]+)"|'([^']+)'|([^\s"'\\]+))[ \t]*""")


class Credentials(NamedTuple):
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r})"


class Simple(NamedTuple):
    """What was found; None for what botocore may still find, or miss."""

    region: str | None
    ca_bundle: str | None
    credentials: Credentials | None
    endpoint_urls: Mapping[str, str]
    """By the service's name with underscores, and by an empty one for all the others."""

    def endpoint_url(self, service: str) -> str | None:
        return self.endpoint_urls.get(service.replace("-", "_")) or self.endpoint_urls.get("")


def profile_name(named: str | None, environment: Mapping[str, str]) -> str | None:
    """The profile that is meant, as the AWS CLI and botocore choose it; None for the default one.

    Args:
        named: the one of the command line.
    """
    return named or environment.get("AWS_DEFAULT_PROFILE") or environment.get("AWS_PROFILE") or None


def find_simple(named: str | None, environment: Mapping[str, str]) -> Simple | None:
    """None where something is not simple, odd or missing.

    Args:
        named: the profile of the command line.
    """
    if any(environment.get(name) for name in _ELSEWHERE):
        return None
    name = profile_name(named, environment)
    try:
        config = _profiles(_path(environment, "AWS_CONFIG_FILE", "~/.aws/config"), sections_named=True)
        kept = _profiles(
            _path(environment, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), sections_named=False
        )
    except (OSError, ValueError, configparser.Error):
        return None
    if name is not None and name not in config and name not in kept:
        return None
    from_config, from_kept = config.get(name or "default", {}), kept.get(name or "default", {})
    settings = {**from_config, **from_kept}
    if any(key.startswith(_LEADING_ELSEWHERE) for key in settings) or any(
        value.startswith("\n") for value in settings.values()
    ):
        return None
    if (
        "ignore_configured_endpoint_urls" in settings
        or "retry_mode" in settings
        or "max_attempts" in settings
    ):
        return None
    urls = {
        variable.removeprefix("AWS_ENDPOINT_URL_").lower(): value
        for variable, value in environment.items()
        if variable.startswith("AWS_ENDPOINT_URL_") and value
    }
    common = environment.get("AWS_ENDPOINT_URL") or settings.get("endpoint_url")
    return Simple(
        region=environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or settings.get("region"),
        ca_bundle=environment.get("AWS_CA_BUNDLE") or settings.get("ca_bundle"),
        credentials=_credentials(named, environment, from_kept, from_config),
        endpoint_urls={**urls, **({"": common} if common else {})},
    )


def _credentials(
    named: str | None, environment: Mapping[str, str], *profiles: Mapping[str, str]
) -> Credentials | None:
    # A profile of the command line goes before keys of the environment, and no other profile does.
    if named is None and (key := environment.get("AWS_ACCESS_KEY_ID")):
        secret = environment.get("AWS_SECRET_ACCESS_KEY")
        token = environment.get("AWS_SECURITY_TOKEN") or environment.get("AWS_SESSION_TOKEN")
        return Credentials(key, secret, token or None) if secret else None
    for profile in profiles:
        if "aws_access_key_id" in profile:
            key, secret = profile["aws_access_key_id"], profile.get("aws_secret_access_key")
            token = profile.get("aws_security_token") or profile.get("aws_session_token")
            return Credentials(key, secret, token or None) if key and secret else None
    return None


def _path(environment: Mapping[str, str], variable: str, default: str) -> str:
    # Unlike those of pathlib these need no home directory.
    return os.path.expanduser(os.path.expandvars(environment.get(variable) or default))  # noqa: PTH111


def _profiles(path: str, *, sections_named: bool) -> dict[str, dict[str, str]]:
    """
    Args:
        sections_named: whether the section of a profile is `[profile NAME]`, but for the default's.

    Raises:
        OSError, UnicodeError, configparser.Error: it cannot be read.
        ValueError: a profile's name is not plain.
    """
    # A file that another program would not take for one is botocore's to judge.
    if not os.path.exists(path):  # noqa: PTH110
        return {}
    parser = configparser.RawConfigParser(default_section=None)  # type: ignore[call-overload]
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        parser.read_file(file)
    found: dict[str, dict[str, str]] = {}
    for section in parser.sections():
        if not sections_named or section == "default":
            found[section] = dict(parser.items(section))
        elif section.startswith("profile"):
            match = _PROFILE_SECTION.fullmatch(section)
            if match is None:
                raise ValueError("a profile's name is not plain")
            found[match[1] or match[2] or match[3]] = dict(parser.items(section))
    return found
