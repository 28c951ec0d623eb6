"""The demo from beginning to end."""

import time

from rich.console import Console

from hatchway.demo import scenario
from hatchway.demo.environment import set_up
from hatchway.demo.hosts import Programs
from hatchway.demo.output import NEXT, Screen
from hatchway.demo.runner import Outcome, Performance
from hatchway.demo.scenario import OpenTunnel, RunCommand, Step
from hatchway.errors import CommandFailed


def run_demo(console: Console, programs: Programs) -> None:
    """Tells the whole story.

    Raises:
        CommandFailed: it could not be told, or something did not go as told.
    """
    screen = Screen(console)
    began = time.monotonic()
    sshd = "sshd" if programs.sshd else "asyncssh, in the place of sshd,"
    screen.say(f"Starting a server, and two hosts with {sshd} on this machine …", "dim")
    wrong = 0
    with set_up(programs) as stage:
        performance = Performance(stage)
        ended = 0
        for scene in story.STORY:
            screen.scene(scene)
            for step in scene.steps:
                outcome = performance.act(scene.user, step.action)
                good = as_told(step, outcome)
                wrong += not good
                ended += outcome.allowed and isinstance(step.action, RunCommand | OpenTunnel)
                screen.step(step, outcome, as_told=good)
        names = {id_: name for name, id_ in (*stage.instances.items(), *stage.subnets.items())}
        screen.events(performance.events(ended), names)
    screen.say(f"\n{NEXT}")
    if wrong:
        raise CommandFailed(f"{wrong} of the steps above did not go as told")
    screen.say(
        f"\nAll went as told, in {time.monotonic() - began:.0f} seconds. Nothing was left behind.", "bold"
    )


def as_told(step: Step, outcome: Outcome) -> bool:
    """Whether a step ended as the story has it."""
    return outcome.allowed is step.ending.allowed and step.ending.says in outcome.told
