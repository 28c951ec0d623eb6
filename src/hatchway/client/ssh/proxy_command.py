"""ssh's ProxyCommand: `hatchway` in a line for the user's shell, in which ssh replaces `%` sequences. Pure.

Every question is answered in it already, so that the command calls no API that it can do without.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from hatchway.client.discovery.cache import Place
from hatchway.client.errors import InvalidOption, printable
from hatchway.client.ssh.ssh_line import parse_hop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatchway.client.api.profile import ProfileOptions
    from hatchway.client.discovery.discovery import TunnelOptions
    from hatchway.client.discovery.plan import TunnelPlan


def tunnel_command(plan: TunnelPlan, profile: ProfileOptions) -> str:
    """The tunnel of a plan, on standard input and output."""
    request, route = plan.request, plan.route
    options = {
        **profile_options(profile),
        "--private-ip-address": request.private_ip_address,
        "--remote-port": request.remote_port,
        "--instance-connect-endpoint-id": request.endpoint_id,
        "--instance-connect-endpoint-dns-name": request.dns_name,
        "--max-tunnel-duration": request.max_tunnel_duration,
        "--gateway-port": route.port,
        "--gateway-address": route.address,
        "--source-address": route.source_address,
        "--other-endpoints": write_places(plan.others) or None,
    }
    return proxy_line([*program(), "open-tunnel", *option_words(options)])


def write_places(plans: Sequence[TunnelPlan]) -> str:
    """Endpoints and the addresses that they reach, in a word: `ID@DNSNAME@ADDRESS`, with commas between."""
    asked = [plan.request for plan in plans]
    return ",".join("@".join((one.endpoint_id, one.dns_name, one.private_ip_address)) for one in asked)


def read_places(text: str) -> tuple[Place, ...]:
    """What `write_places` wrote.

    Raises:
        InvalidOption: it wrote no such word.
    """
    places = [tuple(word.split("@")) for word in text.split(",")]
    if not all(len(place) == 3 for place in places):
        raise InvalidOption(f"--other-endpoints {printable(text, 100)!r}: give each as ID@DNSNAME@ADDRESS")
    return tuple(Place(*place) for place in places)


def jump_command(
    jump: str, forward: str, tunnel: TunnelOptions, profile: ProfileOptions, ssh_words: Sequence[str]
) -> str:
    """`hatchway ssh -W` to the last of the hosts of `-J`, by way of the others, as ssh runs itself for it.

    Args:
        forward: where the last one is to connect, `[name or address]:port`.
        ssh_words: options of ssh itself that hold for every host on the way.

    Raises:
        InvalidOption: the last one is no `[user@]host[:port]`.
    """
    before, _, last = jump.rpartition(",")
    hop = parse_hop(last)
    options = {
        **profile_options(profile),
        **tunnel_options(tunnel),
        "-l": hop.user,
        "-p": hop.port,
        "-J": before or None,
    }
    words = [*program(), "ssh", *option_words(options), *ssh_words]
    return proxy_line([*words, "-W", forward, "--", hop.host])


def program() -> list[str]:
    """What runs `hatchway` on this machine. -P: a file in the current directory must not pass for a module
    of ours."""
    return [sys.executable, "-P", "-m", "hatchway"]


def profile_options(profile: ProfileOptions) -> dict[str, str | None]:
    """The options that say again what these say."""
    return {
        "--profile": profile.profile,
        "--region": profile.region,
        "--endpoint-url": profile.endpoint_url,
        "--ca-bundle": profile.ca_bundle,
    }


def tunnel_options(tunnel: TunnelOptions) -> dict[str, object]:
    """The options that say again what these say of the way, and not of the host."""
    return {
        "--instance-connect-endpoint-id": tunnel.instance_connect_endpoint_id,
        "--instance-connect-endpoint-dns-name": tunnel.instance_connect_endpoint_dns_name,
        "--max-tunnel-duration": tunnel.max_tunnel_duration,
        "--gateway-port": tunnel.gateway_port,
        "--gateway-address": tunnel.gateway_address,
        "--source-address": tunnel.source_address,
    }


def option_words(options: Mapping[str, object]) -> list[str]:
    """Options that have a value, each with it."""
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]


def proxy_line(words: Sequence[str]) -> str:
    """Words as a value of ProxyCommand that gives them to the program as they are."""
    return shlex.join(words).replace("%", "%%")
