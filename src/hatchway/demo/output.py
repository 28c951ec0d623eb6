"""What the demo prints: colour and columns on a terminal, plain lines elsewhere."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from hatchway.demo.runner import Outcome
from hatchway.demo.scenario import Part, Step

_ARN_SCOPE: Final = re.compile(r"arn:aws:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:")
_SHOWN: Final = ("CreateInstanceConnectEndpoint", "SendSSHPublicKey", "OpenTunnel", "CloseTunnel")

NEXT: Final = """\
Where to go next
  docs/tutorial.md                    ten minutes with two machines and the real AWS CLI
  examples/office.yaml                networks, hosts and users in one file, for hatchway apply
  docs/iam.md                         policies, and finding out what they allow"""


class Output:
    """Prints the parts and steps as they are run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._signs = ("✔", "✘") if "utf" in console.encoding.lower() else ("+", "-")

    def say(self, text: str, style: str = "") -> None:
        self._line(Text(text, style))

    def part(self, part: Part) -> None:
        self._line(Text.assemble("\n", (part.user, "bold"), f" {part.policy}"))

    def step(self, step: Step, outcome: Outcome, *, as_expected: bool) -> None:
        sign, style = (self._signs[0], "green") if outcome.allowed else (self._signs[1], "yellow")
        self._line(Text.assemble("  ", (sign, style), f" {step.description}"))
        self._indented(Text(self._fitting(outcome.message), "dim"))
        if outcome.why:
            self._indented(Text(f"The audit trail says why: {self._fitting(outcome.why)}", "cyan"))
        if not as_expected:
            wanted = "allowed" if step.expected.allowed else "refused"
            problem = f"NOT AS TOLD: it should have been {wanted}: {step.expected.message}"
            self._indented(Text(problem, "bold red"))

    def events(self, events: Sequence[dict[str, Any]], names: Mapping[str, str]) -> None:
        """The audit trail: what the scenario was about, and how much else there is.

        Args:
            names: what the scenario calls the things whose ids are in the events.
        """
        shown = [event for event in events if event["eventName"] in _SHOWN]
        self.say(f"\nThe audit trail: {len(events)} events, of which these tell the story", "bold")
        for event in shown:
            code = event.get("errorCode")
            sign, style = (self._signs[0], "green") if code is None else (self._signs[1], "yellow")
            self._line(
                Text.assemble(
                    *("  ", (sign, style), f" {event['eventTime'][11:19]} "),
                    f"{event['userIdentity'].get('userName', '-'):5} {event['eventName']:29} ",
                    f"{_object(event, names)}{f' ({code})' if code else ''}",
                )
            )

    def _fitting(self, sentence: str) -> str:
        """A sentence shortened for a terminal: without what all ARNs here begin with."""
        return _ARN_SCOPE.sub("…", sentence) if self._console.is_terminal else sentence

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=not self._console.is_terminal)

    def _indented(self, text: Text) -> None:
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, 6)))
        else:
            self._console.print(Text("      ") + text, soft_wrap=True)


def _object(event: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What an event is about, in a few words."""
    parameters = event.get("requestParameters") or {}
    match event["eventName"]:
        case "CreateInstanceConnectEndpoint":
            return f"subnet {names.get(parameters.get('subnetId', ''), '')}"
        case "SendSSHPublicKey":
            return (
                f"{parameters.get('instanceOSUser', '')} on {names.get(parameters.get('instanceId', ''), '')}"
            )
        case "CloseTunnel":
            return str(event.get("additionalEventData", {}).get("closeReason") or "by the client or the host")
        case _:
            return f"{parameters.get('privateIpAddress', '')} port {parameters.get('remotePort', '')}"
