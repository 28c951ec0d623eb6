"""A statement under lint, with the places of its parts in the document."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatchway.iam.documents import VERSIONS, Effect
from hatchway.iam.patterns import Tokens, Variable, Wildcard, tokenise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.iam.conditions import Condition
    from hatchway.iam.documents import Policy, Statement


@dataclass(frozen=True, slots=True)
class Linted:
    """One statement and where it stands; `source` is the statement as the document's JSON has it."""

    statement: Statement
    source: dict[str, Any]
    variables: bool

    @property
    def place(self) -> str:
        """The statement's own place."""
        return f"Statement[{self.statement.index}]"

    @property
    def allows(self) -> bool:
        """Whether the statement's effect is Allow."""
        return self.statement.effect is Effect.ALLOW

    def actions(self) -> Iterable[tuple[str, str]]:
        """(place, pattern) of Action or NotAction."""
        element = "NotAction" if self.statement.action.negated else "Action"
        return self._placed(element, self.source[element], self.statement.action.patterns)

    def resources(self) -> Iterable[tuple[str, str]]:
        """(place, pattern) of Resource or NotResource; none in a trust policy."""
        if self.statement.resource is None:
            return ()
        element = "NotResource" if self.statement.resource.negated else "Resource"
        return self._placed(element, self.source[element], self.statement.resource.patterns)

    def condition_place(self, condition: Condition) -> str:
        """The place of one operator's key."""
        return f"{self.place}.Condition.{condition.operator}.{condition.key}"

    def condition_values(self, condition: Condition) -> Iterable[tuple[str, str]]:
        """(place, value) of one operator's key."""
        source = self.source["Condition"][condition.operator][condition.key]
        return self._placed(f"Condition.{condition.operator}.{condition.key}", source, condition.values)

    def tokens(self, pattern: str) -> Tokens:
        """A pattern, with any text in a variable's place."""
        tokens = tokenise(pattern, wildcards=True, variables=self.variables)
        return tuple(Wildcard.ANY_RUN if isinstance(token, Variable) else token for token in tokens)

    def has_variable(self, pattern: str) -> bool:
        """Whether the pattern stands for different texts in different requests."""
        return self.tokens(pattern) != tokenise(pattern, wildcards=True, variables=False)

    def _placed(self, element: str, source: Any, texts: tuple[str, ...]) -> list[tuple[str, str]]:
        within = f"{self.place}.{element}"
        if isinstance(source, list):
            return [(f"{within}[{index}]", text) for index, text in enumerate(texts)]
        return [(within, text) for text in texts]


def statements_of(policy: Policy) -> tuple[Linted, ...]:
    """The statements of a parsed policy, beside their source."""
    listed = json.loads(policy.document, parse_int=str, parse_float=str)["Statement"]
    sources = listed if isinstance(listed, list) else [listed]
    variables = policy.version == VERSIONS[0]
    return tuple(
        Linted(statement, source, variables)
        for statement, source in zip(policy.statements, sources, strict=True)
    )
