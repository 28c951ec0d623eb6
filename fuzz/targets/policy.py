"""Any bytes are a policy or a clean refusal, and a policy means the same to every reading of it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.iam import generated, oracle

from hatchway.iam import (
    Decision,
    MalformedPolicy,
    PolicyKind,
    PolicySet,
    Request,
    decide,
    evaluate,
    parse_policy,
)
from hatchway.iam.lint import lint
from hatchway.iam.lint.render import LintedFile, to_sarif
from hatchway.iam.positions import spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUESTS = [generated.request(Random(seed)) for seed in range(8)]


def one_input(data: bytes) -> None:
    for kind in PolicyKind:
        try:
            policy = parse_policy(data, name="fuzz", kind=kind)
        except MalformedPolicy as refusal:
            assert refusal.place
            assert refusal.problem
            str(refusal).encode()
            continue
        assert parse_policy(policy.document, kind=kind).statements == policy.statements
        spans(policy.document)
        to_sarif([LintedFile("fuzz.json", policy.document, lint(policy))], "0")
        if kind is PolicyKind.IDENTITY:
            judge(policy.document)


def judge(text: str) -> None:
    document = json.loads(text, parse_int=str, parse_float=str)
    policies = PolicySet(identity=(parse_policy(text),))
    for asked in REQUESTS:
        request = Request(**asked)
        outcome = decide(request, policies)
        decision = evaluate(request, policies)
        assert outcome is decision.outcome
        assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision
        expected = oracle.outcome(
            [("identity", [document])],
            asked["action"],
            asked["resource"],
            asked["deny_also"],
            asked["context"],
        )
        assert outcome == expected, (outcome, expected, asked)


def seeds() -> list[bytes]:
    """Documents to begin with, since random bytes rarely come near one."""
    made: list[str] = [json.dumps(generated.document(Random(seed))) for seed in range(300)]
    made += [json.dumps(generated.trust_document(Random(seed))) for seed in range(50)]
    made += [
        path.read_text() for path in (Path(__file__).parents[2] / "examples" / "policies").glob("*.json")
    ]
    return [text.encode() for text in made]


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    def document(**changes: object) -> str:
        statement = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*", **changes}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    several = [
        {"Sid": f"s{number}", "Effect": "Allow", "Action": "ec2:*", "Resource": "*"} for number in range(size)
    ]
    texts = {
        "many statements": json.dumps({"Version": "2012-10-17", "Statement": several}),
        "many actions": document(Action=[f"ec2:A{number}*" for number in range(size)]),
        "a long resource": document(Resource="arn:aws:ec2:*:*:" + "*a" * size),
        "many values": document(
            Condition={"StringLike": {"aws:UserAgent": [f"*{number}*" for number in range(size)]}}
        ),
        "spaces": document() + " " * 20 * size,
        "nesting": "[" * 20 * size,
    }

    def work(text: str) -> None:
        try:
            policy = parse_policy(text, name="growing", kind=PolicyKind.IDENTITY)
        except MalformedPolicy:
            return
        lint(policy)
        evaluate(Request(**REQUESTS[0]), PolicySet(identity=(policy,)))

    return {what: partial(work, text) for what, text in texts.items()}
