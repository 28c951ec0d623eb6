"""`hatchway ssh-config`: what the user's `~/.ssh` is given for plain ssh, and how it is taken away again.

    ~/.ssh/config                            at its beginning: `Include hatchway/*.conf hatchway/*.any`
    ~/.ssh/hatchway/alice.conf               the hosts that the profile alice reaches
    ~/.ssh/hatchway/alice.any                instances that no such file names
    ~/.ssh/hatchway/profiles/alice/key       pushed before each connection
    ~/.ssh/hatchway/profiles/alice/hosts/    known_hosts, a file for each instance

Nothing else of the user's is touched, and nothing is put in place that ssh does not accept.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatchway.client.api.shared_files import profile_name
from hatchway.client.atomic_file import write_atomically
from hatchway.client.discovery.host_list import list_hosts
from hatchway.client.discovery.hosts import RUNNING
from hatchway.client.errors import ClientError, InvalidOption, printable
from hatchway.client.ssh.host_keys import (
    MISMATCH_SCRIPT,
    knows_known_hosts_command,
    mismatch_command,
    openssh_version,
    quoted,
    reported_keys,
)
from hatchway.client.ssh.openssh import SshMissing, make_key
from hatchway.client.ssh.proxy_command import (
    option_words,
    profile_options,
    program,
    proxy_line,
    tunnel_options,
)
from hatchway.client.ssh.ssh_config import (
    PLAIN_NAME,
    Settings,
    alike,
    any_host_text,
    files_included,
    full_name,
    hosts_text,
    name_hosts,
    names_written,
    patterns_written,
    with_include,
    without_include,
)
from hatchway.client.ssh.ssh_settings import ssh_directory
from hatchway.client.temporary_directory import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatchway.client.api.profile import Profile, ProfileOptions
    from hatchway.client.discovery.discovery import TunnelOptions
    from hatchway.client.discovery.hosts import Host
    from hatchway.client.ssh.ssh_config import NamedHost

_DIRECTORY: Final = "hatchway"
_INCLUDED: Final = ("*.conf", "*.any")
_OLDEST: Final = (8, 4)
"""The first OpenSSH that has `%h` in UserKnownHostsFile."""

_DEEPEST_INCLUDE: Final = 16
"""ssh follows no more Include lines within others."""


@dataclass(frozen=True, slots=True)
class Written:
    """`apart` are hosts that are not called by their names, each with why. `changed` is whether the user's
    own configuration had to be."""

    file: Path
    hosts: tuple[NamedHost, ...]
    apart: tuple[tuple[Host, str], ...]
    verified: int
    changed: bool


def _own_directory() -> Path:
    """
    Raises:
        InvalidOption: the user has no home.
    """
    directory = ssh_directory()
    if directory is None:
        raise InvalidOption("this user has no home: give --ssh-directory")
    return directory


def write_ssh_config(
    profile: Profile, os_user: str, tunnel: TunnelOptions, directory: Path | None = None
) -> Written:
    """Write the hosts that the profile reaches, or write them anew.

    Args:
        directory: in the place of the user's own `~/.ssh`.

    Raises:
        ClientError: hosts cannot be listed, or ssh does not accept what would be written.
        OSError: a file cannot be written.
    """
    home = _own_directory() if directory is None else directory
    options = _lasting(profile.options)
    slug = profile_slug(options.profile)
    found = list_hosts(profile, [("instance-state-name", [RUNNING])])
    hosts = [host for host, way in found.hosts if way is not None or found.endpoints_unseen is not None]
    keys = reported_keys(profile.api("hatchway"), [host.instance_id for host in hosts]) or {}

    ours = home / _DIRECTORY
    config = _config_file(home)
    before = _read(config) if config.exists() else ""
    own = without_include(before)
    others = [path for path in ours.glob("*.conf") if path.name != f"{slug}.conf"]
    taken = [*_names_in(others), *_meant_otherwise(own, hosts, slug)]
    named, apart = name_hosts(hosts, slug, taken, [path.stem for path in others])

    state = ours / "profiles" / slug
    settings = _settings(options, os_user, tunnel, state)
    for path in (home, ours, state.parent, state, state / "hosts"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (state / "key").exists() or not (state / "key.pub").exists():
        for name in ("key", "key.pub"):
            (state / name).unlink(missing_ok=True)
        make_key(state / "key")
    write_atomically(state / "mismatch", MISMATCH_SCRIPT)
    _forget(state / "hosts", {host.instance_id for host in hosts})

    who = f"--profile {options.profile}" if options.profile else "without a profile"
    heading = printable(
        f"Written by 'hatchway ssh-config' {who}: its --remove takes it away. Changes are lost."
    )
    texts = {"conf": hosts_text(named, keys, settings, heading), "any": any_host_text(settings, heading)}
    refused = _refusal("".join(texts.values()))
    if refused:
        raise ClientError(f"ssh does not accept what would be written, so nothing was: {refused}")
    for kind, text in texts.items():
        write_atomically(ours / f"{slug}.{kind}", text)
    include = _include(home, directory)
    after = with_include(before, include)
    if "%" in include and _refusal(after):
        # OpenSSH 10 replaces what begins so in the names of files to include; those before take it as it is.
        after = with_include(before, include.replace("%", "%%"))
    if after != before:
        _check(config, before, after)
        write_atomically(config, after)
    return Written(ours / f"{slug}.conf", tuple(named), tuple(apart), len(keys), after != before)


def remove_ssh_config(profile: ProfileOptions, directory: Path | None = None) -> list[Path]:
    """Take away what was written for a profile; with the last one, the two lines too. What was taken.

    Raises:
        OSError: a file cannot be written or removed.
    """
    home = _own_directory() if directory is None else directory
    ours, slug = home / _DIRECTORY, profile_slug(_lasting(profile).profile)
    taken = []
    for path in (ours / f"{slug}.conf", ours / f"{slug}.any"):
        with suppress(FileNotFoundError):
            path.unlink()
            taken.append(path)
    if (ours / "profiles" / slug).is_dir():
        shutil.rmtree(ours / "profiles" / slug)
        taken.append(ours / "profiles" / slug)
    if list(ours.glob("*.conf")):
        return taken
    for path in (ours / "profiles", ours):
        # What somebody else has put there stays.
        with suppress(OSError):
            path.rmdir()
    config = _config_file(home)
    if config.exists():
        before = _read(config)
        after = without_include(before)
        if after != before:
            taken.append(config)
            if after:
                write_atomically(config, after)
            else:
                config.unlink()
    return taken


def profile_slug(profile: str | None) -> str:
    """The profile's name as it stands in paths and behind hosts' names."""
    if profile is None:
        return "default"
    if PLAIN_NAME.fullmatch(profile):
        return profile
    return f"profile-{hashlib.sha256(profile.encode(errors='surrogateescape')).hexdigest()[:12]}"


def _lasting(options: ProfileOptions) -> ProfileOptions:
    """The same in another directory and another shell."""
    profile = profile_name(options.profile, os.environ)
    bundle = None if options.ca_bundle is None else str(Path(options.ca_bundle).absolute())
    return options._replace(profile=profile, ca_bundle=bundle)


def _settings(options: ProfileOptions, os_user: str, tunnel: TunnelOptions, state: Path) -> Settings:
    words = [
        *program(),
        "open-tunnel",
        *option_words({**profile_options(options), **tunnel_options(tunnel)}),
        *("--push-key", str(state / "key.pub")),
        *("--known-hosts", str(state / "hosts")),
    ]
    if not all(word.isprintable() for word in [*words, os_user]):
        raise InvalidOption("there are characters in a path or an option that ssh_config cannot have")
    if "${" in str(state):
        raise InvalidOption(
            f"{state} has a name in which ssh would put the environment's words: give another"
        )
    known_hosts = quoted(str(state / "hosts")).removesuffix('"') + '/%h"'
    version = openssh_version(_ssh_program())
    if version is not None and version < _OLDEST:
        # It would keep the keys of all hosts in one file called `%h`.
        old, oldest = (".".join(map(str, each)) for each in (version, _OLDEST))
        raise ClientError(
            f"plain ssh cannot be told of your hosts: that takes OpenSSH {oldest}, and this is {old};"
            " 'hatchway ssh' works with it"
        )
    tells = knows_known_hosts_command(version)
    return Settings(
        os_user=os_user,
        # Quoted, though ssh takes no user and no host that a shell would find something in. Not by any name:
        # whoever may tag an instance would say where `i-build.example` leads, and whose keys it has.
        proxy_command=f"{proxy_line(words)}'/%h' --os-user '%r' --remote-port %p --instance-id '%h'",
        identity_file=quoted(str(state / "key")),
        known_hosts=known_hosts,
        known_hosts_command=mismatch_command(state / "mismatch", known_hosts, "%h") if tells else None,
    )


def _config_file(home: Path) -> Path:
    """Behind a symbolic link, as people have who keep their files elsewhere."""
    return Path(os.path.realpath(home / "config"))


def _include(home: Path, given: Path | None) -> str:
    if given is None and _is_home_of_includes(home):
        # Relative to ~/.ssh, so that the file may be shared between machines.
        return "Include " + " ".join(f"{_DIRECTORY}/{pattern}" for pattern in _INCLUDED)
    return "Include " + " ".join(f'"{home.absolute() / _DIRECTORY / pattern}"' for pattern in _INCLUDED)


def _is_home_of_includes(home: Path) -> bool:
    """Whether ssh finds there what its files include by relative names: in the `.ssh` of HOME, while it reads
    those of the user database's home."""
    return os.path.realpath(os.path.expanduser("~/.ssh")) == os.path.realpath(home)  # noqa: PTH111


def _names_in(files: Iterable[Path]) -> set[str]:
    """The names that other profiles' files have."""
    return {name for path in files for name in names_written(path.read_text("utf-8", "replace"))}


def _meant_otherwise(own: str, hosts: Sequence[Host], slug: str) -> set[str]:
    """The names that lead elsewhere by the user's own configuration. Of names that nothing in it tells apart
    one is tried."""
    plain = [host.name for host in hosts if PLAIN_NAME.fullmatch(host.name)]
    patterns = {pattern for text in [own, *_included(own)] for pattern in patterns_written(text)}
    # What is about names without either, as `prod-*`, does not mean those that tell of a profile.
    of_profiles = {pattern for pattern in patterns if "_" in pattern or "." in pattern}
    groups = alike(plain, patterns) + alike([full_name(name, slug) for name in plain], of_profiles)
    return {name for names in groups if _leads_elsewhere(own, names[0]) for name in names}


def _included(config: str, depth: int = 0) -> Iterator[str]:
    """What the files hold that a configuration includes, as ssh finds them."""
    for pattern in files_included(config) if depth < _DEEPEST_INCLUDE else ():
        # Unlike those of pathlib these take a pattern that begins at the root.
        for found in glob.glob(str(_own_directory() / os.path.expanduser(pattern))):  # noqa: PTH111, PTH207
            with suppress(OSError):
                text = _read(Path(found))
                yield text
                yield from _included(text, depth + 1)


def _leads_elsewhere(own: str, name: str) -> bool:
    shown = _settings_for(name, own).stdout
    settings = dict(line.partition(" ")[::2] for line in shown.splitlines())
    return (
        settings.get("hostname", name).lower() != name.lower()
        or settings.get("proxycommand", "none") != "none"
        or settings.get("proxyjump", "none") != "none"
    )


def _check(config: Path, before: str, after: str) -> None:
    """
    Raises:
        ClientError: ssh does not accept what there would be.
    """
    refused = _refusal(after)
    if not refused:
        return
    if already := _refusal(before):
        raise ClientError(f"ssh does not accept {config} as it is: fix it first ({already})")
    raise ClientError(
        f"ssh would not accept its configuration any more, so {config} is as it was ({refused})"
    )


def _refusal(config: str) -> str:
    """What ssh has against a configuration; nothing where it accepts it."""
    tried = _settings_for("i-0123456789abcdef0", config)
    if tried.returncode == 0:
        return ""
    told = [line for line in tried.stderr.splitlines() if ": terminating, " not in line]
    return printable("; ".join(told), 300).rstrip(".") or "it does not say why"


def _settings_for(host: str, config: str) -> subprocess.CompletedProcess[str]:
    with temporary_directory() as directory:
        file = directory / "config"
        file.write_bytes(config.encode("utf-8", "surrogateescape"))
        command = [_ssh_program(), "-F", str(file), "-G", "--", host]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        # ssh names the file before the line, in one of two ways, and this one nobody ever sees.
        done.stderr = re.sub(rf"{re.escape(str(file))}:? (?=line )", "", done.stderr)
        return done


def _ssh_program() -> str:
    found = shutil.which("ssh")
    if found is None:
        raise SshMissing("there is no ssh on this machine: install the OpenSSH client")
    return found


def _forget(directory: Path, instance_ids: set[str]) -> None:
    """Removes what is known of hosts that are no more."""
    for path in directory.iterdir():
        if path.name not in instance_ids:
            path.unlink()


def _read(path: Path) -> str:
    """A file with the ends of lines that it has."""
    return path.read_bytes().decode("utf-8", "surrogateescape")
