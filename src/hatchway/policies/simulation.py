"""What `hatchway simulate` asks, and the policies in files that it asks it of."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hatchway.access.authorization import Context
from hatchway.access.context import completed_keys
from hatchway.errors import BadUsage
from hatchway.iam import Decision, Outcome, PolicySet, Request, evaluate
from hatchway.iam.context_keys import missing_keys
from hatchway.policies.files import read_policy
from hatchway.policies.reference import ReferenceMissing, aws_facts

_ACTION = re.compile(r"[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, and the keys that the policies ask about and the request did not tell."""

    decision: Decision
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return self.decision.to_json() | {"missingContext": list(self.missing)}


def ask(
    policies: PolicySet,
    actions: Sequence[str],
    resources: Sequence[str],
    context: Context,
    suppose: Callable[[str, str], Context],
) -> list[Answer]:
    """Each action on each resource; `suppose` says what such a request carries unless the context says other.

    Raises:
        BadUsage: there is no such request.
    """
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise BadUsage(f"--action {action!r} is not service:action, without wildcards")
    for resource in resources:
        if resource != "*" and (not resource.startswith("arn:") or resource.count(":") < 5):
            raise BadUsage(f"--resource {resource!r} is neither an ARN nor '*'")
    try:
        requests = [
            Request(action, resource, completed_keys(context, suppose(action, resource)))
            for action in actions
            for resource in resources
        ]
    except ValueError as problem:
        raise BadUsage(f"--context: {problem}") from problem
    return [Answer(evaluate(request, policies), missing_keys(request, policies)) for request in requests]


def unknown_actions(actions: Iterable[str]) -> Iterator[str]:
    """A sentence for each action that no service has, as far as that can be looked up here.

    No more than that: the reference here may be older than an action of AWS's.
    """
    try:
        facts = aws_facts()
    except ReferenceMissing:
        return
    for action in actions:
        prefix, _, name = action.lower().partition(":")
        service = facts.service(prefix)
        if service is None:
            yield f"there is no service {prefix!r}, so that no request is {action!r}"
        elif name not in service.actions:
            near = get_close_matches(name, service.actions, n=1)
            hint = f" (did you mean {service.actions[near[0]].name}?)" if near else ""
            yield f"{prefix} has no such action as {action!r}{hint}"


def overall(decisions: Iterable[Decision]) -> Outcome:
    """What several decisions come to, all of which are needed."""
    outcomes = {decision.outcome for decision in decisions}
    restrictions = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY)
    return next((outcome for outcome in restrictions if outcome in outcomes), Outcome.ALLOWED)


def read_context(pairs: Iterable[str]) -> Context:
    """Condition keys from `key=value`; a key that comes more than once has several values.

    Raises:
        BadUsage: a pair is none.
    """
    values: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadUsage(f"--context {pair!r} is not key=value")
        values[key] = (*values.get(key, ()), value)
    return {key: several if len(several) > 1 else several[0] for key, several in values.items()}


def policies_in_files(
    policies: Sequence[Path], boundary: Path | None, guardrails: Sequence[Path]
) -> PolicySet:
    """
    Raises:
        BadUsage: a file holds no policy.
    """
    return PolicySet(
        identity=tuple(map(read_policy, policies)),
        boundary=None if boundary is None else read_policy(boundary),
        guardrails=tuple(map(read_policy, guardrails)),
    )
