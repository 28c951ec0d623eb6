"""The IAM policy language: documents, matching, conditions, decisions, explanations.

    from hatchway.iam import Request, evaluate, parse_policy

    policy = parse_policy('{"Statement": {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}}')
    decision = evaluate(Request("ec2:DescribeInstances"), [policy])
    decision.outcome      # Outcome.ALLOWED
    decision.deciding     # the statements that said so

`parse_policy` reads, checks and compiles a document once. A `PolicySet` holds all policies that bear on a
principal (identity policies, permissions boundary, session policies, guardrails) and is kept for all its
requests. `decide` gives the outcome of a `Request` alone, and fast; `evaluate` runs the same evaluation and
says why. A role's trust policy is put to `evaluate_trust`.

Everything here is pure: values in, values out; no clock, no socket, no file. The standard library is all it
needs.
"""

from hatchway.iam.conditions import Condition
from hatchway.iam.decision import (
    AppliedStatement,
    Decision,
    Layer,
    LayerOutcome,
    NearMiss,
    Outcome,
    StatementRef,
)
from hatchway.iam.documents import Effect, Policy, PolicyKind, Statement, parse_policy
from hatchway.iam.elements import Named, Principal, PrincipalKind
from hatchway.iam.errors import AmbiguousContext, MalformedPolicy, PolicyTooLarge
from hatchway.iam.evaluator import PolicySet, decide
from hatchway.iam.explanation import evaluate
from hatchway.iam.request import Request
from hatchway.iam.sizes import MAX_POLICY_VERSIONS, TRUST_QUOTA, SizeQuota, check_size, document_size
from hatchway.iam.trust import decide_assume_role, evaluate_trust

__all__ = [
    "MAX_POLICY_VERSIONS",
    "TRUST_QUOTA",
    "AmbiguousContext",
    "AppliedStatement",
    "Condition",
    "Decision",
    "Effect",
    "Layer",
    "LayerOutcome",
    "MalformedPolicy",
    "Named",
    "NearMiss",
    "Outcome",
    "Policy",
    "PolicyKind",
    "PolicySet",
    "PolicyTooLarge",
    "Principal",
    "PrincipalKind",
    "Request",
    "SizeQuota",
    "Statement",
    "StatementRef",
    "check_size",
    "decide",
    "decide_assume_role",
    "document_size",
    "evaluate",
    "evaluate_trust",
    "parse_policy",
]
