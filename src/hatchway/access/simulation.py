"""Hypothetical requests put to hypothetical policies (AWS: IAM API Reference, "SimulateCustomPolicy").

The evaluation is the one that enforces; here it is only asked about more, and of policies that need be
nobody's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hatchway.access.authorization import Context
from hatchway.access.entities import INPUT_TYPE, SourcedPolicy
from hatchway.access.simulation_cost import Prices, compared
from hatchway.iam import AppliedStatement, Layer, Outcome, PolicySet, Request, evaluate, parse_policy
from hatchway.iam.context_keys import action_keys, context_keys
from hatchway.iam.positions import Span, spans

__all__ = [
    "Layer",
    "MatchedStatement",
    "Outcome",
    "Simulated",
    "Simulation",
    "input_policy",
    "keys_asked_about",
]

_RESTRICTIONS = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY, Outcome.ALLOWED)


@dataclass(frozen=True, slots=True)
class MatchedStatement:
    """A statement that determined an outcome, and where in its document it stands."""

    policy: SourcedPolicy
    index: int
    span: Span


@dataclass(frozen=True, slots=True)
class Simulated:
    """What one action on one resource comes to.

    `layers` has what each layer that is there said by itself; of `matched` and `missing`, guardrails' are
    left out, as AWS leaves out those of service control policies.
    """

    resource: str
    outcome: Outcome
    layers: dict[Layer, Outcome]
    matched: tuple[MatchedStatement, ...]
    missing: tuple[str, ...]


class Simulation:
    """Policies to put requests to. `levels` are guardrails from the outermost in: each level must allow."""

    def __init__(
        self,
        identity: Sequence[SourcedPolicy],
        boundary: SourcedPolicy | None = None,
        levels: Sequence[Sequence[SourcedPolicy]] = (),
    ) -> None:
        # Ids may coincide; under a number each policy of a decision is told from every other.
        self._sources = list(identity) if boundary is None else [*identity, boundary]
        numbered = [replace(source.policy, name=str(number)) for number, source in enumerate(self._sources)]
        self._policies = PolicySet(
            identity=tuple(numbered[: len(identity)]),
            boundary=None if boundary is None else numbered[-1],
        )
        # A root user needs no identity policy: what is left of the decision is the guardrails'.
        self._levels = [
            PolicySet(guardrails=tuple(source.policy for source in level), is_root=True) for level in levels
        ]
        self._places: dict[int, dict[str, Span]] = {}
        self._asked_about: dict[str, tuple[str, ...]] = {}

    def prices(self, actions: Sequence[str], resources: Sequence[str], context: Context) -> Iterator[int]:
        """What each action costs on all the resources, in microseconds or so, cheap to tell in comparison.

        First comes what is spent before any action is looked at.
        """
        prices = Prices((self._policies, *self._levels), compared(actions, resources, context))
        yield prices.of_looking_up
        for action in actions:
            each = prices.of_request(action, len(self._keys(action)), context)
            yield prices.of_looking_up + len(resources) * each

    def _keys(self, action: str) -> tuple[str, ...]:
        """The keys that statements on an action ask about, found once for all resources."""
        if action not in self._asked_about:
            self._asked_about[action] = action_keys(action, self._policies)
        return self._asked_about[action]

    def run(self, action: str, resource: str, context: Context) -> Simulated:
        """Put one request to the policies. Raises AmbiguousContext for keys that differ in case alone."""
        request = Request(action, resource, context)
        decision = evaluate(request, self._policies)
        layers = dict(decision.layers)
        if self._levels:
            layers[Layer.GUARDRAIL] = most_restrictive(
                evaluate(request, level).outcome for level in self._levels
            )
        outcome = most_restrictive(layers.values())
        return Simulated(
            resource,
            outcome,
            layers,
            # Guardrails may deny what the statements at hand allow; then none of these determined anything.
            tuple(map(self._matched, decision.deciding)) if decision.outcome is outcome else (),
            tuple(key for key in self._keys(action) if key.lower() not in request.keys),
        )

    def _matched(self, applied: AppliedStatement) -> MatchedStatement:
        number = int(applied.policy)
        source = self._sources[number]
        if number not in self._places:
            self._places[number] = spans(source.policy.document)
        span = self._places[number][f"Statement[{applied.index}]"]
        return MatchedStatement(source, applied.index, span)


def most_restrictive(outcomes: Iterable[Outcome]) -> Outcome:
    """The first of explicit deny, implicit deny, allowed that is among the outcomes; allowed of none."""
    present = set(outcomes)
    return next((outcome for outcome in _RESTRICTIONS if outcome in present), Outcome.ALLOWED)


def input_policy(document: str, name: str) -> SourcedPolicy:
    """A policy that a request brings. Raises MalformedPolicy."""
    return SourcedPolicy(parse_policy(document, name=name), INPUT_TYPE)


def keys_asked_about(policies: Iterable[SourcedPolicy]) -> tuple[str, ...]:
    """The condition keys of all the policies, each once."""
    keys: dict[str, str] = {}
    for source in policies:
        for key in context_keys(source.policy):
            keys.setdefault(key.lower(), key)
    return tuple(keys.values())
