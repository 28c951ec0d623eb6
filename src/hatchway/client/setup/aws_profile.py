"""Profiles in the shared configuration files of AWS tools.

Source: AWS SDKs and Tools Reference Guide, "Using shared config and credentials files" and "Location of the
shared config and credentials files". What else stands in the files is left as it is, comments included.
"""

import configparser
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hatchway.errors import BadUsage, CommandFailed, reason

_NAME: Final = re.compile(r"[0-9A-Za-z_.@+-]{1,64}")
_HEADER: Final = re.compile(r"\s*\[(?P<name>[^\]]*)\]")
_SETTING: Final = re.compile(r"(?P<key>[^\s=#;\[][^=]*?)\s*[=:]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsProfile:
    """`ca_bundle` None: the API's certificate is one that everybody trusts."""

    name: str
    endpoint_url: str
    region: str
    ca_bundle: Path | None
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """The two files, wherever the environment says they are."""

    config: Path
    credentials: Path

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> "SharedFiles":
        """
        Raises:
            BadUsage: the environment does not say where, and the caller has no home.
        """
        home = Path(environment.get("HOME") or "~")
        try:
            return cls(
                Path(environment.get("AWS_CONFIG_FILE") or home / ".aws/config").expanduser(),
                Path(
                    environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials"
                ).expanduser(),
            )
        except RuntimeError:
            raise BadUsage(
                "there is no place for the profile: set HOME, or AWS_CONFIG_FILE and"
                " AWS_SHARED_CREDENTIALS_FILE"
            ) from None


def check_profile_name(name: str) -> None:
    """
    Raises:
        BadUsage: no section of the files can have this name.
    """
    if not _NAME.fullmatch(name):
        raise BadUsage(f"{name!r} cannot name a profile: use letters, digits and . _ @ + -")


@dataclass(frozen=True, slots=True)
class FoundProfile:
    """A profile that is there already: the access key and the API that it has, if any."""

    access_key_id: str | None
    endpoint_url: str | None

    def __str__(self) -> str:
        key = "no access key" if self.access_key_id is None else f"access key {self.access_key_id}"
        return key if self.endpoint_url is None else f"{key} for {self.endpoint_url}"


def find_profile(files: SharedFiles, name: str) -> FoundProfile | None:
    """The profile, if either file has something of it.

    Raises:
        CommandFailed: a file cannot be read.
    """
    sections = ((files.config, _config_section(name)), (files.credentials, name))
    settings = [_section(_read(path), section) for path, section in sections]
    if not any(settings):
        return None
    # AWS tools prefer the credentials file's key to the other's.
    both = {**settings[0], **settings[1]}
    return FoundProfile(both.get("aws_access_key_id"), both.get("endpoint_url"))


@contextmanager
def kept_on_failure(files: SharedFiles) -> Iterator[None]:
    """Gives both files their former content when the block raises, whatever that had written.

    Raises:
        CommandFailed: a file cannot be read.
    """
    before = {path: _read(path) if path.exists() else None for path in (files.config, files.credentials)}
    try:
        yield
    except BaseException:
        for path, text in before.items():
            if text is None:
                path.unlink(missing_ok=True)
            elif _read(path) != text:
                _replace(path, text)
        raise


def write_profile(files: SharedFiles, profile: AwsProfile) -> None:
    """Makes the profile, or changes it where it is there already: `find_profile` says whether it is.

    Raises:
        CommandFailed: a file cannot be read or written; then neither was changed, or only the first.
    """
    section = _config_section(profile.name)
    configuration = {
        "region": profile.region,
        "endpoint_url": profile.endpoint_url,
        "ca_bundle": None if profile.ca_bundle is None else str(profile.ca_bundle),
    }
    credentials = {
        "aws_access_key_id": profile.access_key_id,
        "aws_secret_access_key": profile.secret_access_key,
        # Left over from temporary credentials, it would make the new key useless.
        "aws_session_token": None,
    }
    changes = [(files.config, section, configuration), (files.credentials, profile.name, credentials)]
    try:
        texts = [(path, with_section(_read(path), name, values)) for path, name, values in changes]
        for path, text in texts:
            _replace(path, text)
    except OSError as problem:
        path = problem.filename or files.config
        raise CommandFailed(f"cannot write the profile: {path}: {reason(problem)}") from problem


def with_section(text: str, section: str, values: Mapping[str, str | None]) -> str:
    """The text of a configuration file in which a section has these values; None takes a value out.

    Raises:
        CommandFailed: a value would be more than that: an end of line in a key that an API has given begins
            another setting, and a `credential_process` is a program that AWS tools run.
    """
    for key, value in values.items():
        if value is not None and not value.isprintable():
            raise CommandFailed(
                f"{key} has characters that no value in {section!r} can have: it is not written"
            )
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if _is_header(line, section)), None)
    if start is None:
        lead = [*lines, ""] if lines and lines[-1].strip() else lines
        return _text([*lead, f"[{section}]", *_settings(values)])
    end = next(
        (number for number in range(start + 1, len(lines)) if _HEADER.match(lines[number])), len(lines)
    )
    kept: list[str] = []
    dropping = False
    for line in lines[start + 1 : end]:
        # Indented lines belong to the setting above them.
        if not (line[:1].isspace() and line.strip()):
            match = _SETTING.match(line)
            dropping = match is not None and match["key"].strip().lower() in values
        if not dropping:
            kept.append(line)
    blank = len(kept)
    while blank and not kept[blank - 1].strip():
        blank -= 1
    return _text([*lines[: start + 1], *kept[:blank], *_settings(values), *kept[blank:], *lines[end:]])


def _config_section(name: str) -> str:
    return "default" if name == "default" else f"profile {name}"


def _section(text: str, section: str) -> dict[str, str]:
    parser = _parser(text)
    found: dict[str, str] = {}
    for each in parser.sections():
        if _is_header(f"[{each}]", section):
            found.update(parser[each])
    return found


def _parser(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    parser.read_string(text)
    return parser


def _is_header(line: str, section: str) -> bool:
    match = _HEADER.match(line)
    if match is None:
        return False
    try:
        return shlex.split(match["name"]) == section.split()
    except ValueError:
        return False


def _settings(values: Mapping[str, str | None]) -> list[str]:
    return [f"{key} = {value}" for key, value in values.items() if value is not None]


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str:
    try:
        # A pipe would be waited for, and a device, such as /dev/null, replaced by a file.
        if not stat.S_ISREG(path.stat().st_mode):
            raise CommandFailed(
                f"{path} is no file: say with AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE where the"
                " profile is to go"
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as problem:
        raise CommandFailed(f"cannot read {path}: {reason(problem)}") from problem
    try:
        _parser(text)
    except configparser.Error:
        # Not the parser's own words: they quote the file, which holds secrets.
        raise CommandFailed(f"{path} is damaged, AWS tools cannot read it either: fix it first") from None
    return text


def _replace(path: Path, text: str) -> None:
    """Puts a new file in the place of one, whole or not at all; only its owner may read it."""
    target = path.resolve()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            # Windows has neither modes nor owners of this kind.
            if target.exists() and hasattr(os, "fchown"):
                before = target.stat()
                mode = stat.S_IMODE(before.st_mode) & 0o600
                os.fchmod(file.fileno(), mode | 0o600)
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
