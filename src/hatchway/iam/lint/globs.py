"""Questions about two patterns: may some text match both; does one match all that the other does?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import (
    Token,
    Tokens,
    Wildcard,
    complete_arn,
    glob,
    is_everything,
    split_segments,
    tokenise,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def may_meet(one: Tokens, other: Tokens) -> bool:
    """Whether some text matches both patterns, which hold no variables."""
    left, right = _units(one), _units(other)
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        i, j = waiting.pop()
        if i == len(left) and j == len(right):
            return True
        for following in _steps(left, right, i, j):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return False


def _units(tokens: Tokens) -> list[Token]:
    """Single characters and wildcards."""
    units: list[Token] = []
    for token in tokens:
        units += list(token) if isinstance(token, str) else [token]
    return units


def _steps(left: Sequence[Token], right: Sequence[Token], i: int, j: int) -> list[tuple[int, int]]:
    """Where matching may go on from before left[i] and right[j]."""
    steps = []
    one = left[i] if i < len(left) else None
    other = right[j] if j < len(right) else None
    if one is Wildcard.ANY_RUN:
        steps.append((i + 1, j))
        if other is not None:
            steps.append((i, j + 1))
    if other is Wildcard.ANY_RUN:
        steps.append((i, j + 1))
        if one is not None:
            steps.append((i + 1, j))
    single = {one, other}
    if not single & {None, Wildcard.ANY_RUN} and (one == other or Wildcard.ANY_ONE in single):
        steps.append((i + 1, j + 1))
    return steps


@lru_cache(maxsize=4096)
def arns_may_meet(pattern: Tokens, template: Tokens) -> bool:
    """Whether some ARN matches a statement's resource pattern and a resource type's, segment by segment."""
    if is_everything(pattern) or is_everything(template):
        return True
    try:
        asked, known = split_segments(complete_arn(pattern)), split_segments(template)
    except UnreadableValue:
        return False
    if asked[2] == ("ec2",):  # whose empty region or account is any
        asked = (*asked[:3], *(scope or (Wildcard.ANY_RUN,) for scope in asked[3:5]), asked[5])
    return all(map(may_meet, asked, known))


def covers(broad: str, narrow: str, *, arn: bool) -> bool:
    """Whether every text that the pattern `narrow` matches, `broad` matches too; a no may be too careful.

    A `broad` without ``?`` that matches the very text of `narrow` matches all that `narrow` does: whatever a
    wildcard of `narrow` may stand for, a ``*`` of `broad` has taken it.
    """
    if broad in ("*", narrow):
        return True
    if "?" in broad:
        return False
    tokens = tokenise(broad, wildcards=True, variables=False)
    if not arn:
        return glob(tokens)(narrow)
    parts = narrow.split(":", 5)
    parts += ["*"] * (6 - len(parts))
    segments = split_segments(complete_arn(tokens))
    # An empty part, which for ec2 means any, is matched by nothing but an empty one and asterisks.
    return all(glob(segment)(part) for segment, part in zip(segments, parts, strict=True))
