"""Random policies and requests that iam-simulate can express, decided by both engines.

    python bench/differential.py NODE_MODULES_DIRECTORY [POLICIES]

Where the two read AWS's text differently (see bench/iam.md), `KNOWN` says so by a trait of the policy or
the request; whatever else they disagree on is printed, and fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.iam import generated  # noqa: E402

from hatchway.iam import PolicySet, Request, decide, parse_policy  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESOURCES = {
    "ec2:CreateTags": generated.ARNS[:1] + generated.ARNS[2:3],
    "iam:CreateUser": generated.ARNS[4:5],
    "sts:AssumeRole": ["arn:aws:iam::123456789012:role/on-call"],
    "ec2:DescribeInstances": ["*"],
}
RENAMED = {"ec2-instance-connect:remoteport": "aws:MultiFactorAuthAge", "x:binary": "aws:userid"}
"""Keys that iam-simulate does not know, and known ones in their place."""


def text_of(case: dict[str, Any]) -> str:
    return json.dumps([case["policy"], case["context"]])


def patterns_of(case: dict[str, Any]) -> Iterator[list[str]]:
    statements = case["policy"]["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        listed = statement.get("Resource", statement.get("NotResource"))
        for pattern in listed if isinstance(listed, list) else [listed]:
            if pattern != "*":
                yield pattern.split(":", 5)


def values_of(case: dict[str, Any]) -> set[str]:
    return {v for value in case["context"].values() for v in (value if isinstance(value, list) else [value])}


KNOWN: dict[str, Callable[[dict[str, Any]], bool]] = {
    "variables without a value, and variables before version 2012": lambda c: "${" in text_of(c),
    "wildcards in an ARN's partition, service or resource type": lambda c: any(
        set("*?") & set("".join(segments[1:3]) + segments[5].partition("/")[0]) for segments in patterns_of(c)
    ),
    "an empty region or account of ec2": lambda c: any(
        segments[2] == "ec2" and "" in segments[3:5] for segments in patterns_of(c)
    ),
    "IfExists with ForAnyValue": lambda c: bool(re.search(r"ForAnyValue:\w+IfExists", text_of(c))),
    "dates as epoch seconds, or without seconds": lambda c: bool(
        re.search(r'"(0|1767225\d*(\.\d+)?|2026-01-01T00:00Z)"', text_of(c)) and "Date" in text_of(c)
    ),
    "IPv4-mapped IPv6 addresses": lambda c: "::ffff" in text_of(c),
    "IPv4 addresses under a NotIpAddress of IPv6": lambda c: (
        "NotIpAddress" in text_of(c) and ":" in "".join(re.findall(r'"([0-9a-f:./]+)"', text_of(c)))
    ),
    "values that the operator cannot read": lambda c: bool(values_of(c) & UNREADABLE),
}


UNREADABLE = {
    given
    for family in ("Numeric", "Date", "Bool", "Binary", "Ip", "Arn")
    for given in generated.GIVEN[family]
    if given not in generated.VALUES[family] and given not in generated.ARNS
} - {"10.0.1.2", "192.0.2.7", "*", ""}


def renamed(key: str) -> str:
    return RENAMED.get(key.lower(), key)


def with_known_keys(document: dict[str, Any]) -> dict[str, Any]:
    statements = document["Statement"]
    made = []
    for statement in statements if isinstance(statements, list) else [statements]:
        conditions = {
            operator: {renamed(key): value for key, value in pairs.items()}
            for operator, pairs in statement.get("Condition", {}).items()
        }
        patterns = {
            element: [p for p in (v if isinstance(v, list) else [v]) if not re.search(r"[*?].*:", p)] or ["*"]
            for element, v in statement.items()
            if element in ("Action", "NotAction")
        }
        made.append(statement | patterns | ({"Condition": conditions} if conditions else {}))
    return document | {"Statement": made}


def cases(count: int) -> Iterator[dict[str, Any]]:
    for seed in range(count):
        rng = Random(f"differential {seed}")
        document = with_known_keys(generated.document(rng))
        policies = PolicySet(identity=(parse_policy(document),))
        for _ in range(3):
            action = rng.choice(list(RESOURCES))
            resource = rng.choice(RESOURCES[action])
            context: dict[str, str | list[str]] = {}
            for key, value in generated.context(rng).items():
                several = key.lower() == "aws:tagkeys"
                listed = value if isinstance(value, tuple) else (value,)
                if listed:
                    context[renamed(key)] = list(listed) if several else listed[0]
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in context.items()}
            outcome = decide(Request(action, resource, given), policies)
            yield {
                "policy": document,
                "action": action,
                "resource": resource,
                "context": context,
                "ours": str(outcome),
            }


def main() -> None:
    node_modules, count = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 3_000
    asked = list(cases(count))
    answer = subprocess.run(
        ["node", str(HERE / "iam_simulate" / "outcomes.mjs"), str(node_modules)],
        input=json.dumps(asked),
        check=True,
        capture_output=True,
        text=True,
    )
    same = known = unanswered = 0
    unknown = []
    for case, theirs in zip(asked, json.loads(answer.stdout), strict=True):
        if theirs is None:
            unanswered += 1
        elif theirs == case["ours"]:
            same += 1
        elif any(has(case) for has in KNOWN.values()):
            known += 1
        else:
            unknown.append(case | {"theirs": theirs})
    print(f"{same} the same, {known} differ in a known reading, {len(unknown)} differ otherwise")
    print(f"{unanswered} that iam-simulate refuses to answer")
    for case in unknown:
        print(json.dumps(case, ensure_ascii=False))
    if unknown or not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
