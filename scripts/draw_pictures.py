#!/usr/bin/env python3
"""Draw the pictures of the documents into docs/pictures, as SVG: `python scripts/draw_pictures.py`.

Words stay words, in the reader's own fonts, and colours follow the reader's choice of light or dark.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

PICTURES: Final = Path(__file__).resolve().parents[1] / "docs" / "pictures"

_STYLE: Final = """\
<style>
  svg { background: #fff; color: #1b1f24; font: 14px system-ui, sans-serif; }
  .box { fill: #eef4fb; stroke: #33689e; stroke-width: 1.5; }
  .store { fill: #fdf3e1; stroke: #a06a00; stroke-width: 1.5; }
  .zone { fill: none; stroke: #8a939d; stroke-dasharray: 5 4; }
  .line { stroke: currentColor; stroke-width: 1.5; fill: none; }
  .life { stroke: #8a939d; stroke-dasharray: 3 4; }
  text { fill: currentColor; } .small { font-size: 12px; } .strong { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    svg { background: #16191d; color: #e4e8ec; }
    .box { fill: #1d2d3f; stroke: #6ba4dd; } .store { fill: #3a2d12; stroke: #d9a441; }
  }
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8"
  orient="auto-start-reverse">
  <path d="M0 0L10 5L0 10z" fill="context-stroke"/></marker></defs>
"""


@dataclass
class Picture:
    """An SVG in the making; all positions and sizes are in pixels."""

    title: str
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def box(self, x: int, y: int, width: int, height: int, *lines: str, kind: str = "box") -> None:
        """A rectangle with lines of text in its middle, the first in bold."""
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')
        for number, line in enumerate(lines):
            below = y + height / 2 + 5 + 18 * (number - (len(lines) - 1) / 2)
            self.text(x + width // 2, int(below), line, "strong" if number == 0 else "small")

    def zone(self, x: int, y: int, width: int, height: int, name: str) -> None:
        """A dashed rectangle with its name above, on the left."""
        self.parts.append(f'<rect class="zone" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>')
        self.text(x + 4, y - 7, name, "small", "start")

    def arrow(
        self, x1: int, y1: int, x2: int, y2: int, *lines: str, both: bool = False, dx: int = 0, dy: int = -8
    ) -> None:
        """A line with a tip at its end, and lines of text at its middle, moved by `dx` and `dy`."""
        start = ' marker-start="url(#tip)"' if both else ""
        self.parts.append(f'<path class="line" marker-end="url(#tip)"{start} d="M{x1} {y1}L{x2} {y2}"/>')
        for number, line in enumerate(reversed(lines)):
            self.text(
                (x1 + x2) // 2 + dx,
                (y1 + y2) // 2 + dy - 16 * number,
                line,
                "small",
                "start" if dx else "middle",
            )

    def life(self, x: int, top: int, bottom: int) -> None:
        """The line below somebody in a sequence."""
        self.parts.append(f'<path class="life" d="M{x} {top}V{bottom}"/>')

    def text(self, x: int, y: int, text: str, kind: str = "", anchor: str = "middle") -> None:
        self.parts.append(
            f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img">\n'
        )
        return f"{head}<title>{escape(self.title)}</title>\n{_STYLE}" + "\n".join(self.parts) + "\n</svg>\n"


def planes() -> Picture:
    """The control plane, gateways and the store."""
    picture = Picture(
        "The control plane answers the API and owns all state; gateways carry tunnels", 860, 400
    )
    picture.box(20, 40, 210, 60, "Administrators", "aws, Terraform, hatchway apply")
    picture.box(20, 220, 210, 60, "People who connect", "aws … ssh, hatchway ssh, ssh")
    picture.zone(300, 30, 230, 350, "your servers")
    picture.box(330, 50, 170, 70, "Control plane", "all state, all decisions", "about the API")
    picture.box(330, 165, 170, 50, "Store", "SQLite or PostgreSQL", kind="store")
    picture.box(
        330, 260, 170, 90, "Gateways", "verify, decide, carry", "no master key,", "no way to change state"
    )
    picture.zone(600, 200, 240, 180, "the network without public addresses")
    picture.box(640, 220, 160, 60, "Host", "its sshd asks for keys")
    picture.box(640, 300, 160, 60, "Host", "any TCP port")
    picture.arrow(230, 70, 330, 70, "HTTPS, SigV4")
    picture.arrow(230, 250, 330, 290, "WSS, SigV4", dx=-70, dy=34)
    picture.arrow(415, 120, 415, 165, "writes, reads", dx=8, dy=4)
    picture.arrow(415, 260, 415, 215, "follows; adds tunnels", "and audit records", dx=8, dy=10)
    picture.arrow(500, 290, 640, 250, "TCP", dy=-10)
    picture.arrow(500, 315, 640, 330, "TCP", dy=-8)
    picture.arrow(720, 220, 500, 85, "which keys are good", "right now?", dx=24, dy=-24)
    return picture


def tunnel() -> Picture:
    """One tunnel from its request to its end."""
    picture = Picture("The way of one tunnel", 860, 560)
    people = ((90, "Client"), (330, "Gateway"), (560, "Store"), (770, "Host"))
    for x, name in people:
        picture.box(x - 65, 15, 130, 34, name, kind="store" if name == "Store" else "box")
        picture.life(x, 49, 545)
    client, gateway, store, host = (x for x, _ in people)

    def step(y: int, start: int, end: int, text: str) -> None:
        picture.arrow(start, y, end, y, text)

    def within(y: int, *lines: str) -> None:
        for number, line in enumerate(lines):
            picture.text(gateway + 10, y + 16 * number, line, "small", "start")

    step(85, client, gateway, "GET /openTunnel?… over TLS, signed")
    within(110, "1. is the signature of a key that is good?",
           "2. do all policies allow this endpoint, port, address,",
           "    duration, source? 3. security groups, quotas?")  # fmt: skip
    step(180, gateway, client, "no: 4xx with AWS's error, recorded")
    step(215, gateway, client, "yes: 101, from here a WebSocket")
    step(250, gateway, store, "OpenTunnel, committed")
    step(285, gateway, host, "connects, by TCP")
    picture.arrow(client, 320, gateway, 320, "bytes, in binary frames", both=True)
    picture.arrow(gateway, 320, host, 320, "bytes", both=True)
    step(360, store, gateway, "something has changed")
    within(385, "decides again: whoever may no longer is cut,", "with close code 4003, within a second")
    step(435, gateway, client, "or: the duration is over, a side ends, it is terminated")
    step(475, gateway, store, "CloseTunnel: reason, bytes, seconds")
    picture.text(
        430, 525, "What cannot be recorded is not opened; no end is entered twice, none is lost.", "small"
    )
    return picture


def ports() -> Picture:
    """What talks to what, and on which port."""
    picture = Picture("What talks to what on which port", 860, 430)
    picture.box(20, 60, 170, 54, "Clients", "API calls")
    picture.box(20, 170, 170, 54, "Clients", "tunnels")
    picture.box(20, 290, 170, 54, "Prometheus")
    picture.box(350, 60, 240, 54, "Control plane", "listens on 8443")
    picture.box(350, 170, 190, 70, "Gateway", "listens on 443", "metrics on 9464 …")
    picture.box(350, 340, 240, 54, "PostgreSQL", "listens on 5432", kind="store")
    picture.box(670, 60, 170, 54, "Hosts' sshd", "AuthorizedKeysCommand")
    picture.box(670, 170, 170, 70, "Hosts", "whatever port the", "policies allow")
    picture.arrow(190, 87, 350, 87, "TCP 8443, HTTPS")
    picture.arrow(190, 197, 350, 197, "TCP 443, WSS")
    picture.arrow(190, 317, 350, 232, "TCP 9464, HTTP", dx=-30, dy=-22)
    picture.arrow(670, 87, 590, 87, "8443")
    picture.arrow(540, 197, 670, 197, "TCP 22, …", dx=-26)
    picture.arrow(570, 114, 570, 340, dy=0)
    picture.arrow(400, 240, 400, 340, "TCP 5432, when the store", "is not a file", dx=8, dy=10)
    picture.text(
        430,
        420,
        "Nothing else: hosts are connected to by gateways alone, and no plane by the other.",
        "small",
    )
    return picture


DRAWN: Final = {"planes.svg": planes, "tunnel.svg": tunnel, "ports.svg": ports}


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    for name, draw in DRAWN.items():
        (PICTURES / name).write_text(draw().svg())
    return 0


if __name__ == "__main__":
    sys.exit(main())
