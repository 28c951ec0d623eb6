"""The decision procedure: a principal's policies, indexed by action once, and the outcome of a request.

Any Deny that applies ends it; then every layer that is present must allow ("Policy evaluation logic", AWS IAM
User Guide). `decide` is the enforcement reading; `hatchway.iam.explanation` reads the same statements, by the
same tests, for the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hatchway.iam.decision import Layer, Outcome
from hatchway.iam.documents import Effect, Policy, PolicyKind, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.iam.patterns import Arn, Keys
    from hatchway.iam.request import Request

MAX_REMEMBERED_ACTIONS = 4096
"""Actions whose statements a PolicySet keeps at hand: more than any service has, but a bound."""


class Candidate(NamedTuple):
    """A statement in its place."""

    layer: Layer
    policy: Policy
    statement: Statement


class Shelf:
    """Statements, found by what a resource begins with: those about other resources are not looked at."""

    __slots__ = ("_all", "_by_prefix", "_length", "_lengths")

    def __init__(self, statements: Sequence[Statement]) -> None:
        by_prefix: dict[str, list[Statement]] = {}
        for statement in statements:
            for prefix in statement.resource.prefixes if statement.resource else ("",):
                by_prefix.setdefault(prefix, []).append(statement)
        self._by_prefix = {prefix: tuple(found) for prefix, found in by_prefix.items()}
        self._lengths = tuple(sorted({len(prefix) for prefix in by_prefix}))
        # The one length where there is but one, and all statements where looking them up would not pay.
        self._length = self._lengths[0] if len(self._lengths) == 1 else None
        self._all = tuple(statements) if len(statements) <= len(self._lengths) + 1 else None

    def about(self, resource: Arn) -> Iterable[Statement]:
        """All the statements that may be about `resource`, and few others."""
        if self._all is not None:
            return self._all
        text, by_prefix = resource.text, self._by_prefix
        if self._length is not None:
            return by_prefix.get(text[: self._length], ())
        found: list[Statement] = []
        for length in self._lengths:
            found += by_prefix.get(text[:length], ())
        return found

    def some_apply(self, resources: Iterable[Arn], keys: Keys) -> bool:
        """Whether some statement applies to one of the resources."""
        for resource in resources:
            for statement in self.about(resource):
                if statement.applies(resource, keys):
                    return True
        return False


_EMPTY_SHELF = Shelf(())


def _shelf(statements: Sequence[Statement]) -> Shelf:
    return Shelf(statements) if statements else _EMPTY_SHELF


class ActionView(NamedTuple):
    """The statements whose action matches one action.

    `candidates` lists them in the order of layers, policies and statements; `denies` holds all Denies,
    `allows` the Allows of each layer that must allow.
    """

    candidates: tuple[Candidate, ...]
    denies: Shelf
    allows: tuple[Shelf, ...]


class ActionIndex:
    """Finds the statements for an action without looking at all of them.

    A statement that names its actions outright is found by them; one with wildcards is tried when its
    service, if it names one, is the action's. What was found is remembered.
    """

    __slots__ = ("_exact", "_required", "_views", "_wild")

    def __init__(self, candidates: Iterable[Candidate], required: tuple[Layer, ...]) -> None:
        self._required = required
        self._exact: dict[str, list[tuple[int, Candidate]]] = {}
        self._wild: dict[str, list[tuple[int, Candidate]]] = {}
        self._views: dict[str, ActionView] = {}
        for ranked in enumerate(candidates):
            element = ranked[1].statement.action
            folded = {pattern.lower() for pattern in element.patterns}
            if element.negated or any("*" in pattern or "?" in pattern for pattern in folded):
                services = {pattern.partition(":")[0] for pattern in folded}
                if element.negated or any("*" in service or "?" in service for service in services):
                    services = {""}
                for service in services:
                    self._wild.setdefault(service, []).append(ranked)
            else:
                for action in folded:
                    self._exact.setdefault(action, []).append(ranked)

    def view(self, action: str) -> ActionView:
        """The statements for an action, in any case."""
        known = self._views.get(action)
        return self._look_up(action) if known is None else known

    def _look_up(self, action: str) -> ActionView:
        folded = action.lower()
        service = folded.partition(":")[0]
        ranked = list(self._exact.get(folded, ()))
        for wild in {service, ""}:
            ranked += (r for r in self._wild.get(wild, ()) if r[1].statement.action.matches(folded))
        candidates = tuple(candidate for _, candidate in sorted(ranked, key=lambda r: r[0]))
        allows: dict[Layer, list[Statement]] = {layer: [] for layer in self._required}
        for layer, _, statement in candidates:
            if statement.effect is Effect.ALLOW and layer in allows:
                allows[layer].append(statement)
        view = ActionView(
            candidates,
            _shelf([c.statement for c in candidates if c.statement.effect is Effect.DENY]),
            tuple(map(_shelf, allows.values())),
        )
        if len(self._views) >= MAX_REMEMBERED_ACTIONS:
            self._views.clear()
        self._views[action] = view
        return view


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Every policy that bears on one principal, compiled and indexed once for all its requests.

    `identity`: inline and attached policies, the groups' among them. `boundary` and `session`: None where
    there is none; an empty `session` allows nothing. `guardrails`: none attached binds nothing. The account's
    root user (`is_root`) needs no identity policy. `layers` are those that are present, in the order in which
    they are asked; `required` those that must allow.

    Raises ValueError for the trust policy of a role, which bears on no request of its own: see
    `evaluate_trust`.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None
    guardrails: tuple[Policy, ...] = ()
    is_root: bool = False
    layers: dict[Layer, tuple[Policy, ...]] = field(init=False, repr=False, compare=False)
    required: tuple[Layer, ...] = field(init=False, repr=False, compare=False)
    index: ActionIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        layers = self._present()
        required = tuple(layer for layer in layers if not (layer is Layer.IDENTITY and self.is_root))
        for policies in layers.values():
            for policy in policies:
                if policy.kind is PolicyKind.TRUST:
                    raise ValueError(f"'{policy.name}' is a trust policy, which grants no permissions")
        candidates = (
            Candidate(layer, policy, statement)
            for layer, policies in layers.items()
            for policy in policies
            for statement in policy.statements
        )
        set_once = object.__setattr__
        set_once(self, "layers", layers)
        set_once(self, "required", required)
        set_once(self, "index", ActionIndex(candidates, required))

    def _present(self) -> dict[Layer, tuple[Policy, ...]]:
        layers: dict[Layer, tuple[Policy, ...]] = {}
        if self.guardrails:
            layers[Layer.GUARDRAIL] = self.guardrails
        if self.boundary is not None:
            layers[Layer.BOUNDARY] = (self.boundary,)
        if self.session is not None:
            layers[Layer.SESSION] = self.session
        layers[Layer.IDENTITY] = self.identity
        return layers


def decide(request: Request, policies: PolicySet) -> Outcome:
    """The outcome of a request, as fast as it can be had, without reasons."""
    _, denies, allows = policies.index.view(request.action)
    keys = request.keys
    if denies.some_apply(request.deny_targets, keys):
        return Outcome.EXPLICIT_DENY
    for shelf in allows:
        if not shelf.some_apply(request.targets, keys):
            return Outcome.IMPLICIT_DENY
    return Outcome.ALLOWED
