"""What is wrong with a policy document, and where."""

from __future__ import annotations


class MalformedPolicy(ValueError):
    """A document that is no policy.

    `place` is the path of the offending element (``Statement[1].Condition.IpAddress.aws:SourceIp``, list
    indexes from 0), `problem` what is wrong with it. ``str(error)`` joins the two.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem


class PolicyTooLarge(ValueError):
    """A document of more characters, white space not counted, than its quota allows."""

    def __init__(self, size: int, quota: int) -> None:
        super().__init__(f"the policy has {size} characters, white space not counted; the quota is {quota}")
        self.size = size
        self.quota = quota


class AmbiguousContext(ValueError):
    """A request with condition keys that differ in case alone: to policies these are one key.

    `keys` are the first two such, as the request spells them.
    """

    def __init__(self, keys: tuple[str, str]) -> None:
        super().__init__(f"the context has the key {keys[0].lower()} more than once, in different cases")
        self.keys = keys


class UnreadableValue(ValueError):
    """A text that an operator or an element cannot read; the message completes "<place>: "."""
