"""The IAM policy language: documents, matching, conditions, decisions, explanations.

    >>> from hatchway.iam import PolicySet, Request, decide, evaluate, parse_policy
    >>> policy = parse_policy(
    ...     '{"Statement": {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}}', name="reader"
    ... )
    >>> held = PolicySet(identity=(policy,))
    >>> decide(Request("ec2:DescribeInstances"), held)
    <Outcome.ALLOWED: 'allowed'>
    >>> [statement.policy for statement in evaluate(Request("ec2:DescribeVpcs"), held).deciding]
    ['reader']
    >>> evaluate(Request("ec2:CreateTags"), held).outcome
    <Outcome.IMPLICIT_DENY: 'implicitDeny'>

`parse_policy` reads, checks and compiles a document once. A `PolicySet` holds all policies that bear on a
principal (identity policies, permissions boundary, session policies, guardrails) and is kept for all its
requests. `decide` gives the outcome of a `Request` alone, and fast; `evaluate` runs the same evaluation and
says why. A role's trust policy is put to `evaluate_trust`.

| module | holds |
|---|---|
| `document_text`, `documents`, `elements`, `positions` | from text to checked statements |
| `errors` | what is wrong with a document, and where |
| `patterns`, `pieces` | wildcards, policy variables, ARN patterns; how they are matched |
| `conditions`, `operators`, `readers` | conditions, their operators, and the values that these compare |
| `request`, `global_keys` | a request's condition keys, and AWS's global ones |
| `context_keys` | the condition keys that a policy asks about |
| `evaluator` | the decision procedure: `PolicySet`, `decide` |
| `explanation`, `decision` | the same with its reasons: `evaluate`, `Decision` |
| `trust` | trust policies of roles |
| `sizes` | quotas of documents |
| `lint` | what a document says that its author likely did not mean |

What must hold here:

- Pure: values in, values out; no clock, no socket, no file; the standard library is all it needs.
- `decide` and `evaluate` agree on every request (`tests/iam` compares them with a slow oracle on random
  ones).
- No policy and no request makes matching slow: the work grows with their sizes.
- What cannot be read (a number, a date, an address) makes a condition false, as in AWS, never an error.

Sources: IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic".
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
