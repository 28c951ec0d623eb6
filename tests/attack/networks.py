"""Networks that overlap, and hosts that are not to be reached."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

from tests.attack.honest import Gone, Refused, Tunnel, echo_host
from tests.attack.site import FLEET, OPEN, UNREGISTERED, Site
from tests.attack.trial import Family, Outcome, Trial


def overlapping_vpcs(site: Site) -> Outcome:
    """A second VPC whose range overlaps the first one's, which the same gateway would serve."""
    fleet: dict[str, Any] = copy.deepcopy(dict(FLEET))
    fleet["vpcs"]["twin"] = {
        "cidr": "127.0.0.0/17",
        "subnets": {"other": {"cidr": "127.0.40.0/25", "availability_zone": "us-east-1a"}},
    }
    path = site.directory / "overlapping.json"
    path.write_text(json.dumps(fleet))
    done = site.command("apply", str(path))
    last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "applied"
    said = last.rpartition(".json: ")[2].partition(";")[0]
    return Outcome(done.returncode != 0 and "overlap" in done.stderr, said[:200])


def never_targets(site: Site) -> Outcome:
    """Addresses that lie outside the VPC, or that no VPC has."""
    site.user("wanderer", OPEN)
    answers: dict[str, str] = {}
    with echo_host() as port:
        for address in (
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "::ffff:169.254.169.254",
            "224.0.0.1",
            "192.0.2.2",
            UNREGISTERED,
        ):
            answers[address] = _reached(site, address, port)
    held = all(answer.startswith(("1011", "HTTP")) for answer in answers.values())
    return Outcome(held, "; ".join(f"{address}: {answer}" for address, answer in answers.items()))


def _reached(site: Site, address: str, port: int) -> str:
    try:
        tunnel = Tunnel(site, site.target("wanderer", port, address))
        tunnel.echo()
        tunnel.close()
    except Refused as refused:
        return str(refused)[:12]
    except Gone as gone:
        return f"{gone.code}"
    return "reached"


FAMILY: Final = Family(
    "networks",
    "A person who may open tunnels, in the wrong network",
    [
        Trial(
            "overlapping_vpcs",
            "applies a fleet file with overlapping VPCs for one gateway",
            "refused",
            overlapping_vpcs,
        ),
        Trial(
            "never_targets",
            "tunnels to link-local, loopback, unspecified, multicast and foreign addresses",
            "`Unable to connect to target`",
            never_targets,
        ),
    ],
)
