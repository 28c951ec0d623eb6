"""What a decision says, as plain data: outcome, who said it, what came near, and AWS's sentence for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from hatchway.iam.documents import Effect
from hatchway.iam.elements import Named

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(StrEnum):
    """What a request comes to, in AWS's words."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class Layer(StrEnum):
    """The kinds of policy that bear on a request, in the order in which they are asked to allow it."""

    GUARDRAIL = "guardrail"
    BOUNDARY = "boundary"
    SESSION = "session"
    IDENTITY = "identity"
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class StatementRef:
    """Which statement: its policy's name, its layer, its Sid if any, its index (from 0), its effect."""

    policy: str
    layer: Layer
    sid: str | None
    index: int
    effect: Effect


@dataclass(frozen=True, slots=True)
class AppliedStatement(StatementRef):
    """A statement that applied, and the resource of the request that it applied to.

    `note` says what its text does not show: that a variable without a value made it apply.
    """

    resource: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NearMiss(StatementRef):
    """A statement whose action matched but which did not apply: its first element that failed, and why.

    `element` reads ``Condition NumericEquals ec2-instance-connect:remotePort``. `request` holds the request's
    values, none for an absent key; `expected` the policy's; `note` what those alone do not show.
    """

    element: str
    request: tuple[str, ...]
    expected: tuple[str, ...]
    note: str = ""

    @property
    def why(self) -> str:
        """``Condition NumericEquals ec2-instance-connect:remotePort: request 3389, policy 22``."""
        had = ", ".join(self.request) if self.request else "has no value"
        note = f" ({self.note})" if self.note else ""
        return f"{self.element}: request {had}, policy {', '.join(self.expected)}{note}"


class LayerOutcome(NamedTuple):
    """What one layer said by itself."""

    layer: Layer
    outcome: Outcome


_DECIDE = {Outcome.EXPLICIT_DENY: Effect.DENY, Outcome.ALLOWED: Effect.ALLOW}

_WHERE = {
    Layer.GUARDRAIL: ("a service control policy", "no service control policy allows"),
    Layer.BOUNDARY: ("a permissions boundary", "no permissions boundary allows"),
    Layer.SESSION: ("a session policy", "no session policy allows"),
    Layer.IDENTITY: ("an identity-based policy", "no identity-based policy allows"),
    Layer.TRUST: ("the role trust policy", "no role trust policy allows"),
}


class Decision(NamedTuple):
    """The answer to one permission check, with its reasons.

    `layer` is the one that said no, None when allowed. `applied` lists the statements that applied,
    `near_misses` those whose action matched but which did not apply. For a trust policy `named` says how
    closely the statements that allow name the caller. `ambiguous_keys` are two keys of a request that differ
    in case alone: it was refused without asking any policy.
    """

    outcome: Outcome
    layer: Layer | None
    action: str
    resources: tuple[str, ...]
    deny_also: tuple[str, ...] = ()
    layers: tuple[LayerOutcome, ...] = ()
    applied: tuple[AppliedStatement, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    named: Named | None = None
    ambiguous_keys: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the request may go ahead."""
        return self.outcome is Outcome.ALLOWED

    @property
    def deciding(self) -> tuple[AppliedStatement, ...]:
        """Those that decided: the Denies of an explicit deny, the Allows of what is allowed, else none."""
        effect = _DECIDE.get(self.outcome)
        return tuple([statement for statement in self.applied if statement.effect is effect])

    @property
    def reason(self) -> str:
        """Why it was refused, in a line: what denies, or came nearest to allowing. Empty when allowed."""
        if self.ambiguous_keys:
            return f"the request has {' and '.join(self.ambiguous_keys)}, which differ by case alone"
        if self.layer is None:
            return ""
        if self.outcome is Outcome.EXPLICIT_DENY:
            return (
                f"{_told(self.deciding[0])} denies {self.action}"
                if self.deciding
                else f"{self.action} is denied"
            )
        _, missing = _WHERE[self.layer]
        nearest = next(
            (miss for miss in self.near_misses if miss.layer is self.layer and miss.effect is Effect.ALLOW),
            None,
        )
        if nearest is None:
            return f"{missing} {self.action}"
        return f"{_told(nearest)} does not allow {self.action}: {nearest.why}"

    def sentence(self, principal_arn: str) -> str:
        """AWS's sentence for a refusal ("Troubleshoot access denied error messages"): no policy text.

        Raises ValueError when the request was allowed.
        """
        if self.layer is None:
            raise ValueError("an allowed request has no refusal to tell")
        explicit, missing = _WHERE[self.layer]
        if self.outcome is Outcome.EXPLICIT_DENY:
            resource, reason = self.deciding[0].resource, f"with an explicit deny in {explicit}"
        else:
            resource, reason = self.resources[0], f"because {missing} the {self.action} action"
        asked = f"{principal_arn} is not authorized to perform: {self.action} on resource: {resource}"
        return f"User: {asked} {reason}"

    def to_json(self) -> dict[str, Any]:
        """As plain values that JSON holds, for the audit trail and for clients."""
        applied = [(statement.effect, _applied_to_json(statement)) for statement in self.applied]
        deciding = _DECIDE.get(self.outcome)
        content = {
            "outcome": str(self.outcome),
            "layer": None if self.layer is None else str(self.layer),
            "action": self.action,
            "resources": list(self.resources),
            "denyAlso": list(self.deny_also),
            "layers": [{"layer": str(said.layer), "outcome": str(said.outcome)} for said in self.layers],
            "deciding": [statement for effect, statement in applied if effect is deciding],
            "applied": [statement for _, statement in applied],
            "nearMisses": list(map(_miss_to_json, self.near_misses)),
            "named": None if self.named is None else self.named.name.lower(),
        }
        if self.ambiguous_keys:
            content["ambiguousKeys"] = list(self.ambiguous_keys)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Decision:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            outcome=Outcome(content["outcome"]),
            layer=None if content["layer"] is None else Layer(content["layer"]),
            action=content["action"],
            resources=tuple(content["resources"]),
            deny_also=tuple(content["denyAlso"]),
            layers=tuple(LayerOutcome(Layer(s["layer"]), Outcome(s["outcome"])) for s in content["layers"]),
            applied=tuple(
                AppliedStatement(*_ref_from_json(s), s["resource"], s.get("note", ""))
                for s in content["applied"]
            ),
            near_misses=tuple(
                NearMiss(
                    *_ref_from_json(s), s["element"], _texts(s["request"]), _texts(s["expected"]), s["note"]
                )
                for s in content["nearMisses"]
            ),
            named=None if content["named"] is None else Named[content["named"].upper()],
            ambiguous_keys=tuple(content.get("ambiguousKeys", ())),
        )


def _told(statement: StatementRef) -> str:
    """``connect Ssh``, or without a Sid ``connect Statement[0]``."""
    return f"{statement.policy or '(unnamed)'} {statement.sid or f'Statement[{statement.index}]'}"


def _ref_to_json(ref: StatementRef) -> dict[str, Any]:
    return {
        "policy": ref.policy,
        "layer": str(ref.layer),
        "sid": ref.sid,
        "index": ref.index,
        "effect": str(ref.effect),
    }


def _applied_to_json(applied: AppliedStatement) -> dict[str, Any]:
    note = {"note": applied.note} if applied.note else {}
    return _ref_to_json(applied) | {"resource": applied.resource} | note


def _miss_to_json(miss: NearMiss) -> dict[str, Any]:
    return _ref_to_json(miss) | {
        "element": miss.element,
        "request": list(miss.request),
        "expected": list(miss.expected),
        "note": miss.note,
        "why": miss.why,
    }


def _texts(content: Any) -> tuple[str, ...]:
    texts = tuple(content)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("these are no texts")
    return texts


def _ref_from_json(content: Mapping[str, Any]) -> tuple[str, Layer, str | None, int, Effect]:
    return (
        content["policy"],
        Layer(content["layer"]),
        content["sid"],
        content["index"],
        Effect(content["effect"]),
    )
