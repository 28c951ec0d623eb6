"""The shell script that makes sshd on a host ask Hatchway for keys (sshd_config(5), AuthorizedKeysCommand).

The script is `install.sh` of this package with the values of one host filled in, and within it `sshd.sh`, by
which it sees what sshd does, and `authorized-keys.sh`, the command that it installs. All run under any POSIX
shell.
"""

import re
import shlex
from dataclasses import dataclass
from importlib import resources
from typing import Final


@dataclass(frozen=True, slots=True)
class HostLayout:
    """Where things are on the host. All are absolute paths but `path`, the search path for commands.

    `/etc/hatchway` and `/var/lib/hatchway` are a server's, which may be a host too. Earlier versions of the
    script had their files there: it looks for them in `former_directory` and `former_state`. There is
    `booted` where systemd runs, and `periodic` where busybox's crond runs what is in it (Alpine).
    """

    directory: str = "/etc/hatchway-host"
    state: str = "/var/lib/hatchway-host"
    former_directory: str = "/etc/hatchway"
    former_state: str = "/var/lib/hatchway"
    sshd_config: str = "/etc/ssh/sshd_config"
    proc: str = "/proc"
    booted: str = "/run/systemd/system"
    units: str = "/etc/systemd/system"
    periodic: str = "/etc/periodic/15min"
    path: str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


STANDARD_LAYOUT: Final = HostLayout()

_HOST: Final = r"(?:[0-9A-Za-z](?:[0-9A-Za-z.-]{0,253}[0-9A-Za-z])?|\[[0-9A-Fa-f:.]{2,45}\])"
_API_URL: Final = re.compile(rf"https://{_HOST}(?::[0-9]{{1,5}})?(?:/[0-9A-Za-z._~-]+)*")
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n(?:[0-9A-Za-z+/]{1,76}={0,2}\n)+-----END CERTIFICATE-----"
)
_TOKEN: Final = re.compile(r"hwh_(?P<instance_id>i-[0-9A-Za-z]{1,32})_[0-9A-Za-z_-]{43}")
_ENROLLMENT_TOKEN: Final = re.compile(r"hwe_et-[0-9a-f]{17}_[0-9A-Za-z_-]{43}")
_PATH: Final = re.compile(r"[0-9A-Za-z/:._+-]+")
_PLACEHOLDER: Final = re.compile(r"@([A-Z_]+)@")


def host_script(
    *,
    instance_id: str,
    api_url: str,
    token: str,
    ca_certificate_pem: str,
    layout: HostLayout = STANDARD_LAYOUT,
) -> str:
    """The script for one host, which holds its token: to be shown to nobody but that host's administrator.

    Args:
        api_url: the control plane as the host reaches it, `https://…` with or without a port and a path.
        token: the host token of the same instance, `hwh_<instance id>_<secret>`.
        ca_certificate_pem: one certificate or more, by which the host knows the control plane.

    Raises:
        ValueError: a value is not what it should be. Nothing that passes needs quoting to be safe in a shell;
            it is quoted all the same.
    """
    match = _TOKEN.fullmatch(token)
    if match is None or match["instance_id"] != instance_id:
        raise ValueError(f"the host token is not that of {instance_id!r}")
    return _script(api_url, ca_certificate_pem, layout, INSTANCE_ID=instance_id, TOKEN=token)


def enrollment_script(
    *, api_url: str, enrollment_token: str, ca_certificate_pem: str, layout: HostLayout = STANDARD_LAYOUT
) -> str:
    """The script for hosts that register themselves: one for all, as long as its token is good.

    Raises:
        ValueError: as `host_script`.
    """
    if not _ENROLLMENT_TOKEN.fullmatch(enrollment_token):
        raise ValueError("this is no enrollment token")
    return _script(api_url, ca_certificate_pem, layout, ENROLLMENT_TOKEN=enrollment_token)


def _script(api_url: str, ca_certificate_pem: str, layout: HostLayout, **of_the_host: str) -> str:
    url = api_url.removesuffix("/")
    if not _API_URL.fullmatch(url):
        raise ValueError(f"{api_url!r} is not an https:// URL of a control plane")
    certificates = _CERTIFICATE.findall(ca_certificate_pem.replace("\r\n", "\n"))
    if not certificates:
        raise ValueError("there is no certificate in PEM form to trust")
    layout_quoted = _quoted_layout(layout)
    quoted = {
        **layout_quoted,
        **dict.fromkeys(("INSTANCE_ID", "TOKEN", "ENROLLMENT_TOKEN"), "''"),
        **{name: shlex.quote(value) for name, value in of_the_host.items()},
        "API_URL": shlex.quote(url),
        "CA_CERTIFICATE_PEM": "\n".join(certificates),
        "COMMAND": authorized_keys_command(url, layout).rstrip("\n"),
        "EVERY_COMMAND": every_authorized_keys_command(layout).rstrip("\n"),
        "REPORT": _filled_in("report-host-keys.sh", {**layout_quoted, "API_URL": shlex.quote(url)}).rstrip(
            "\n"
        ),
        **{
            part.upper(): _template(f"{part}.sh").rstrip("\n")
            for part in ("enroll", "chain", "unit", "proof", "watch", "sshd")
        },
    }
    return _filled_in("install.sh", quoted)


def authorized_keys_command(api_url: str, layout: HostLayout = STANDARD_LAYOUT) -> str:
    """The program that sshd runs; `host_script` installs it. The token is not in it."""
    return _filled_in("authorized-keys.sh", {**_quoted_layout(layout), "API_URL": shlex.quote(api_url)})


def every_authorized_keys_command(layout: HostLayout = STANDARD_LAYOUT) -> str:
    """The program that sshd runs where it had another AuthorizedKeysCommand, which this one runs too."""
    return _filled_in("every-authorized-keys.sh", _quoted_layout(layout))


def _quoted_layout(layout: HostLayout) -> dict[str, str]:
    paths = {
        "DIRECTORY": layout.directory,
        "STATE": layout.state,
        "FORMER_DIRECTORY": layout.former_directory,
        "FORMER_STATE": layout.former_state,
        "SSHD_CONFIG": layout.sshd_config,
        "PROC": layout.proc,
        "BOOTED": layout.booted,
        "UNITS": layout.units,
        "PERIODIC": layout.periodic,
        "PATH": layout.path,
    }
    return {name: shlex.quote(_plain(path)) for name, path in paths.items()}


def _plain(path: str) -> str:
    # sshd splits its configuration's lines at white space and expands `%`.
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} cannot stand in sshd's configuration")
    return path


def _filled_in(template: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], _template(template))


def _template(name: str) -> str:
    return resources.files("hatchway.host").joinpath(name).read_text(encoding="utf-8")
