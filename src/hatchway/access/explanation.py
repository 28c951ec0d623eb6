"""Why a caller gets no tunnel, in a line, for those whom policies let know. Pure.

They are those who may ask the API's ExplainDenial about themselves: what it would tell them stands in the
answer at once, for the AWS CLI too, which shows a refusal's body as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hatchway.access.authorization import AccessDenied, Check, authorize
from hatchway.access.open_tunnel import ACTION
from hatchway.iam.readers import read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatchway.access.authorization import Context
    from hatchway.access.principal import Caller
    from hatchway.iam import Decision

EXPLAIN: Final = "hatchway:ExplainDenial"

_DURATION: Final = "ec2-instance-connect:maxtunnelduration"
_MOST_TRIED: Final = 8
"""Durations that are tried in the place of one that was refused: each is a whole decision."""


def may_know(caller: Caller, context: Context) -> bool:
    """Whether the caller may know why it was refused."""
    try:
        authorize(caller, [Check(EXPLAIN, (caller.principal.arn,))], context)
    except AccessDenied:
        return False
    return True


def why_denied(caller: Caller, refusal: Decision, seconds: int, allows: Callable[[int], bool]) -> str:
    """What kept policies from allowing a tunnel of so many seconds, and whether a shorter one would do.

    Args:
        allows: whether the same request is allowed for so many seconds.
    """
    shorter = next(filter(allows, _shorter(caller, seconds)), None)
    if shorter is None:
        return refusal.reason
    return f"your policies allow it for {shorter} seconds: give --max-tunnel-duration {shorter}"


def _shorter(caller: Caller, seconds: int) -> list[int]:
    """Durations below that, at which some statement changes its mind, the longest first."""
    found = {at for at in _bounds(caller, seconds) if 1 <= at < seconds}
    return sorted(found, reverse=True)[:_MOST_TRIED]


def _bounds(caller: Caller, seconds: int) -> Iterator[int]:
    for candidate in caller.policies.index.view(ACTION).candidates:
        for condition in candidate.statement.conditions:
            if condition.folded_key != _DURATION:
                continue
            for number in map(read_number, condition.values):
                if number is not None and 0 < number <= seconds:
                    # The bound itself is out where what is shorter is allowed, or what is as long denied.
                    yield from (int(number), int(number) - 1)
