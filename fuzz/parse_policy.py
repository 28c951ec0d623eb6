"""Any bytes are a policy or a clean refusal, and a policy means the same to every reading of it."""

import json
import sys
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["hatchway"]):
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

from tests.iam import generated, oracle

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
    made = [json.dumps(generated.document(Random(seed))) for seed in range(300)]
    made += [json.dumps(generated.trust_document(Random(seed))) for seed in range(50)]
    made += [
        path.read_text() for path in (Path(__file__).parents[1] / "examples" / "policies").glob("*.json")
    ]
    return [text.encode() for text in made]


if __name__ == "__main__":
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else None
    if corpus is not None and not any(corpus.iterdir()):
        for number, seed in enumerate(seeds()):
            (corpus / f"seed-{number:03}").write_bytes(seed)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
