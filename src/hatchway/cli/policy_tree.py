"""Decisions as trees: layers, policies, statements, and the element that kept a statement from applying."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from hatchway.cli.printable import printable
from hatchway.iam import AppliedStatement, Decision, Effect, Layer, NearMiss, Outcome, PolicySet

_LAYERS: Final = {
    Layer.GUARDRAIL: "guardrails",
    Layer.BOUNDARY: "permissions boundary",
    Layer.SESSION: "session policies",
    Layer.IDENTITY: "identity policies",
    Layer.TRUST: "trust policy",
}
_SAID: Final = {
    Outcome.ALLOWED: "allowed",
    Outcome.IMPLICIT_DENY: "not allowed",
    Outcome.EXPLICIT_DENY: "denied",
}
_STYLES: Final = {Outcome.ALLOWED: "green", Outcome.IMPLICIT_DENY: "yellow", Outcome.EXPLICIT_DENY: "red"}
_EFFECT_STYLES: Final = {Effect.ALLOW: "green", Effect.DENY: "red"}
_HEADLINES: Final = {
    Outcome.ALLOWED: "ALLOWED",
    Outcome.IMPLICIT_DENY: "DENIED, since nothing allows it:",
    Outcome.EXPLICIT_DENY: "DENIED explicitly:",
}
_WIDEST: Final = 10_000
"""Columns where there is no terminal: lines are not broken."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich ends the process with 1, which would be an answer.
        raise BrokenPipeError


def console() -> Console:
    """Standard output: in colour on a terminal, plain and unbroken elsewhere."""
    output = _Console(highlight=False, markup=False, emoji=False)
    if not output.is_terminal:
        output = _Console(highlight=False, markup=False, emoji=False, width=_WIDEST, color_system=None)
    return output


def names_by_layer(policies: PolicySet) -> dict[Layer, tuple[str, ...]]:
    """The names of all policies, so that a tree can show those too that had nothing to say."""
    return {layer: tuple(policy.name for policy in held) for layer, held in policies.layers.items()}


def decision_tree(
    decision: Decision, policies: Mapping[Layer, Sequence[str]] | None = None, missing: Sequence[str] = ()
) -> Tree:
    """A decision from its outcome down to the first element that failed in each statement.

    `policies` names the policies of each layer, where they are known; otherwise only those with a statement
    on the action are shown. `missing` are keys that the request did not tell.
    """
    headline = Text(f"{_HEADLINES[decision.outcome]} ", style=f"bold {_STYLES[decision.outcome]}")
    about = " or ".join(decision.resources or decision.deny_also)
    headline.append(f"{printable(decision.action)} on {printable(about)}", "default")
    tree = Tree(headline)
    for layer, outcome in decision.layers:
        statements: list[AppliedStatement | NearMiss] = [*decision.applied, *decision.near_misses]
        spoke = [statement for statement in statements if statement.layer is layer]
        title = Text(f"{_LAYERS[layer]}: ")
        title.append(_SAID[outcome], _STYLES[outcome])
        branch = tree.add(title)
        names = dict.fromkeys((*(policies or {}).get(layer, ()), *(s.policy for s in spoke)))
        for name in names:
            _add_policy(branch, name, [s for s in spoke if s.policy == name])
        if not names:
            branch.add(_nothing(outcome))
    if decision.ambiguous_keys:
        keys = printable(" and ".join(decision.ambiguous_keys))
        tree.add(Text(f"no policy was asked: the request has {keys}, which differ by case alone"))
    if missing:
        tree.add(Text(f"the request has no value for {printable(', '.join(missing))}", "dim"))
    return tree


def _nothing(outcome: Outcome) -> Text:
    """What a layer that shows no policy has to say for itself."""
    if outcome is Outcome.ALLOWED:
        return Text("the root user needs none", "dim")
    return Text("no statement is about this action", "dim")


def _add_policy(branch: Tree, name: str, statements: Sequence[AppliedStatement | NearMiss]) -> None:
    policy = branch.add(Text(printable(name) or "(unnamed)", "bold"))
    for statement in sorted(statements, key=lambda s: s.index):
        line = Text(str(statement.effect), _EFFECT_STYLES[statement.effect])
        sid = f" {printable(statement.sid)}" if statement.sid else ""
        line.append(f"{sid} (Statement[{statement.index}]) ", "default")
        if isinstance(statement, AppliedStatement):
            line.append("applies", "bold")
            if statement.note:
                line.append(f": {printable(statement.note)}", "dim")
        else:
            line.append(f"does not apply: {printable(statement.why)}", "dim")
        policy.add(line)
    if not statements:
        policy.add(Text("no statement is about this action", "dim"))


def show(trees: Iterable[Tree | Text]) -> None:
    output = console()
    for tree in trees:
        output.print(tree, soft_wrap=isinstance(tree, Text))
