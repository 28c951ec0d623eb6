"""The demo from beginning to end."""

import time

from rich.console import Console

from hatchway.demo import scenario
from hatchway.demo.environment import set_up
from hatchway.demo.hosts import Programs
from hatchway.demo.output import NEXT, Output
from hatchway.demo.runner import Outcome, Runner
from hatchway.demo.scenario import OpenTunnel, RunCommand, Step
from hatchway.errors import CommandFailed


def run_demo(console: Console, programs: Programs) -> None:
    """Runs the whole scenario and prints how it went.

    Raises:
        CommandFailed: it could not be run, or a step did not end as expected.
    """
    output = Output(console)
    began = time.monotonic()
    sshd = "sshd" if programs.sshd else "asyncssh, in the place of sshd,"
    output.say(f"Starting a server, and two hosts with {sshd} on this machine …", "dim")
    wrong = 0
    with set_up(programs) as environment:
        runner = Runner(environment)
        ended = 0
        for part in scenario.SCENARIO:
            output.part(part)
            for step in part.steps:
                outcome = runner.run(part.user, step.action)
                good = as_expected(step, outcome)
                wrong += not good
                ended += outcome.allowed and isinstance(step.action, RunCommand | OpenTunnel)
                output.step(step, outcome, as_expected=good)
        names = {id_: name for name, id_ in (*environment.instances.items(), *environment.subnets.items())}
        output.events(runner.events(ended), names)
    output.say(f"\n{NEXT}")
    if wrong:
        raise CommandFailed(f"{wrong} of the steps above did not go as told")
    output.say(
        f"\nAll went as told, in {time.monotonic() - began:.0f} seconds. Nothing was left behind.", "bold"
    )


def as_expected(step: Step, outcome: Outcome) -> bool:
    """Whether a step ended as the scenario expects."""
    return outcome.allowed is step.expected.allowed and step.expected.message in outcome.message
