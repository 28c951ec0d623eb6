"""Clocks that are wrong, and signatures that are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tests.attack.honest import Refused, Tunnel, echo_host
from tests.attack.site import OPEN, Site
from tests.attack.trial import Family, Outcome, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME: Final = 60
"""Seconds that the AWS CLI gives its URLs."""
_MARGIN: Final = 20


def _trial(offsets: tuple[int, ...], opens: bool) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        if "clocked" not in site.keys:
            site.user("clocked", OPEN)
        said = []
        with echo_host() as port:
            for offset in offsets:
                now = datetime.now(UTC) + timedelta(seconds=offset)
                try:
                    tunnel = Tunnel(site, site.target("clocked", port, now=now, expires=LIFETIME))
                    tunnel.echo()
                    tunnel.close()
                    said.append(True)
                except Refused as refused:
                    assert " 403 " in str(refused), refused
                    said.append(False)
        told = ", ".join(
            f"{offset:+d} s: {'opens' if one else '403'}" for offset, one in zip(offsets, said, strict=True)
        )
        return Outcome(all(one is opens for one in said), told)

    return run


FAMILY: Final = Family(
    "clocks",
    "A client whose clock is wrong, or who kept an old URL",
    [
        Trial(
            "clock_within_5_minutes",
            "opens tunnels with URLs valid for 60 s, with its clock up to 5 minutes wrong",
            "opens",
            _trial((-300 + _MARGIN, -65, 0, 65, 300 - _MARGIN), True),
        ),
        Trial(
            "clock_beyond",
            "uses URLs that are older than 60 s plus 5 minutes, or more than 5 minutes ahead",
            "403",
            _trial((-(LIFETIME + 300 + _MARGIN), 300 + _MARGIN, -86_400, 86_400), False),
        ),
    ],
)
