"""Random documents and requests that meet each other often: small vocabularies, all elements and operators.

Plain `random` from a seed rather than hypothesis: ten times the documents in the same time, and a failure is
named by its seed.
"""

from random import Random
from typing import Any

ACTIONS = [
    "ec2:CreateTags",
    "ec2:DescribeInstances",
    "ec2:CreateNetworkInterface",
    "ec2-instance-connect:OpenTunnel",
    "ec2-instance-connect:SendSSHPublicKey",
    "iam:CreateUser",
    "sts:AssumeRole",
]
ACTION_PATTERNS = [
    "*", "ec2:*", "ec2*:*", "*:OpenTunnel", "ec2:Create*", "ec2:?escribe*", "ec2-instance-connect:*T?nnel",
    "iam:*User", "*:*a*e*", "sts:AssumeRole*", "ec2:create????",
]  # fmt: skip
ARNS = [
    "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-a",
    "arn:aws:ec2:us-east-1:123456789012:security-group/sg-a",
    "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-b",
    "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/*",
    "arn:aws:iam::123456789012:user/alice",
    "arn:aws:iam::123456789012:user/a*",
    "arn:aws:iam::123456789012:role/aws-service-role/x.amazonaws.com/R",
    "arn:aws:logs:us-east-1:123456789012:log-group:a:b",
]
RESOURCES = [*ARNS, "*"]
INCOMPLETE_ARNS = [
    "arn:aws", "arn:aws:ec2", "arn:aws:ec2:us-*", "arn:*:iam:*:123456789012", "arn:aws:ec?",
    "arn:aws:${aws:PrincipalTag/service}", "arn:aws:ec2*:us-east-1",
]  # fmt: skip
VARIABLES = [
    "${aws:username}",
    "${AWS:UserName}",
    "${aws:username, 'alice'}",
    "${aws:PrincipalTag/team}",
    "${aws:PrincipalTag/team,'*'}",
    "${*}",
    "${?}",
    "${$}",
    "${aws:TagKeys}",
    "${missing}",
]
TYPED_VARIABLES = [
    "${aws:username}",
    "${ec2-instance-connect:remotePort}",
    "${aws:PrincipalArn}",
    "${missing}",
]
VALUES = {
    "String": [
        "alice", "Alice", "a*", "*", "ali?e", "al*lice", "dev", "prod", "", "22", "${aws:username}", "straße",
        "STRASSE", "STRAẞE", "\u212a", "k",
    ],
    "Numeric": ["22", "3389", "022", "22.0", "2.2e1", "-1", "3600", "600", "0.1", "1e300", ".5"],
    "Date": [
        "2026-01-01T00:00:00Z",
        "2026-01-01T01:00:00+01:00",
        "2025-12-31T18:30:00-05:30",
        "2025-12-31T23:59:59.999Z",
        "2026-01-01T00:00Z",
        "1767225600",
        "0",
        "2026",
        "2026-01",
        "2026-01-01",
        "1767225599.999",
    ],
    "Bool": ["true", "false", "True", "FALSE"],
    "Binary": ["YQ==", "YWI=", "", "QUJD"],
    "Ip": [
        "10.0.1.0/31", "10.0.1.1", "10.0.0.7/8", "0.0.0.0/0", "::ffff:10.0.1.1", "::ffff:10.0.0.0/104",
        "::/0",
        "2001:db8::/32", "2001:db8::1", "192.0.2.0/24", "::ffff:0:0/96", "::ffff:0:0/90",
    ],
    "Arn": [
        "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-a",
        "arn:aws:ec2:*:123456789012:subnet/*",
        "arn:aws:ec2:::subnet/*",
        "arn:aws:iam::123456789012:user/?lice",
        "arn:*:*:*:*:*",
        "*",
    ],
}  # fmt: skip
GIVEN = {
    "String": VALUES["String"],
    "Numeric": [*VALUES["Numeric"], "x", "", "1e9999999", "٣"],
    "Date": [*VALUES["Date"], "2026-13-01T00:00:00Z", "yesterday", "2026-13", "2026-02-30", "0000", ""],
    "Bool": [*VALUES["Bool"], "yes"],
    "Binary": [*VALUES["Binary"], "not base64!", "YQ"],
    "Ip": [
        "10.0.1.1",
        "10.0.1.2",
        "::ffff:10.0.1.1",
        "2001:db8::1",
        "192.0.2.7",
        "10.0.1.0/31",
        "host",
        "010.0.1.1",
    ],
    "Arn": [*ARNS, "arn:aws:ec2", "*", "subnet"],
}
KEYS = {
    "String": ["aws:username", "aws:PrincipalTag/team", "aws:TagKeys"],
    "Numeric": ["ec2-instance-connect:remotePort"],
    "Date": ["aws:CurrentTime"],
    "Bool": ["aws:SecureTransport"],
    "Binary": ["x:Binary"],
    "Ip": ["aws:SourceIp"],
    "Arn": ["aws:PrincipalArn"],
}
ORDERS = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
OPERATORS = {
    "String": [
        "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
        "StringLike", "StringNotLike",
    ],
    "Numeric": [f"Numeric{order}" for order in ORDERS],
    "Date": [f"Date{order}" for order in ORDERS],
    "Bool": ["Bool"],
    "Binary": ["BinaryEquals"],
    "Ip": ["IpAddress", "NotIpAddress"],
    "Arn": ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"],
}  # fmt: skip
FAMILIES = list(OPERATORS)


def some(rng: Random, pool: list[str]) -> str | list[str]:
    """One, or a list of one to three."""
    if rng.random() < 0.5:
        return rng.choice(pool)
    return [rng.choice(pool) for _ in range(rng.randint(1, 3))]


def any_case(rng: Random, text: str) -> str:
    return rng.choice([text, text, text.lower(), text.upper()])


def resource_pattern(rng: Random) -> str:
    if rng.random() < 0.2:
        return "*"
    if rng.random() < 0.1:
        return rng.choice(INCOMPLETE_ARNS)
    segments = rng.choice(ARNS).split(":", 5)
    for index in range(1, 6):
        if rng.random() < 0.75:
            continue
        text = segments[index]
        at = rng.randrange(len(text) + 1)
        segments[index] = rng.choice(
            [
                "*",
                "",
                text[:at] + "*",
                "*" + text[at:],
                text[:at] + "?" + text[at + 1 :],
                text[:at] + rng.choice(VARIABLES),
                text[: at // 2] + "*" + text[at // 2 : at] + "*",
            ]
        )
    return ":".join(segments)


def conditions(rng: Random, version: str | None) -> dict[str, dict[str, Any]]:
    chosen: dict[str, dict[str, Any]] = {}
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        family = rng.choice(FAMILIES)
        if rng.random() < 0.1:
            operator, pool = "Null", ["true", "false"]
        else:
            base = rng.choice(OPERATORS[family])
            prefix = rng.choice(["", "", "", "ForAllValues:", "ForAnyValue:"])
            operator = f"{prefix}{base}{rng.choice(['', '', 'IfExists'])}"
            pool = VALUES[family]
            if version == "2012-10-17" and rng.random() < 0.25:
                pool = [*pool, *TYPED_VARIABLES]
            if family == "String" and rng.random() < 0.3:
                pool = [f"{a}{b}" for a in pool for b in VARIABLES]
        key = any_case(rng, rng.choice(KEYS[family if rng.random() < 0.9 else "String"]))
        value: Any = some(rng, pool)
        if family == "Numeric" and operator != "Null" and rng.random() < 0.2:
            value = rng.choice([22, 3389, 0.1])
        chosen.setdefault(operator, {})[key] = value
    return chosen


def statement(rng: Random, version: str | None) -> dict[str, Any]:
    action = "NotAction" if rng.random() < 0.15 else "Action"
    resource = "NotResource" if rng.random() < 0.15 else "Resource"
    patterns = [any_case(rng, one) for one in ACTIONS] + ACTION_PATTERNS
    made: dict[str, Any] = {
        "Effect": "Deny" if rng.random() < 0.25 else "Allow",
        action: some(rng, patterns),
        resource: some(rng, [resource_pattern(rng) for _ in range(3)]),
    }
    if rng.random() < 0.7:
        made["Condition"] = conditions(rng, version)
    return made


def document(rng: Random) -> dict[str, Any]:
    version = rng.choice(["2012-10-17", "2012-10-17", "2008-10-17", None])
    statements = [statement(rng, version) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 3, 12]))]
    made: dict[str, Any] = {
        "Statement": statements if len(statements) > 1 or rng.random() < 0.5 else statements[0]
    }
    return made if version is None else {"Version": version} | made


def context(rng: Random) -> dict[str, str | tuple[str, ...]]:
    made: dict[str, str | tuple[str, ...]] = {}
    for family, keys in KEYS.items():
        for key in keys:
            if rng.random() < 0.25:
                continue
            values = tuple(rng.choice(GIVEN[family]) for _ in range(rng.randint(0, 3)))
            several = rng.random() < (0.8 if key == "aws:TagKeys" else 0.1)
            made[any_case(rng, key)] = values if several else rng.choice(GIVEN[family])
    return made


def request(rng: Random) -> dict[str, Any]:
    return {
        "action": any_case(rng, rng.choice(ACTIONS)),
        "resource": tuple(rng.choice(RESOURCES) for _ in range(rng.choice([1, 1, 1, 2]))),
        "deny_also": tuple(rng.choice(RESOURCES) for _ in range(rng.choice([0, 0, 0, 1]))),
        "context": context(rng),
    }


PRINCIPALS: dict[str, list[str]] = {
    "AWS": [
        "*",
        "123456789012",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:user/alice",
        "arn:aws:iam::123456789012:role/on-call",
        "arn:aws:sts::123456789012:assumed-role/on-call/bob",
        "210987654321",
    ],
    "Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"],
    "Federated": ["cognito-identity.amazonaws.com"],
}
CALLERS: list[dict[str, str]] = [
    {"arn": "arn:aws:iam::123456789012:user/alice", "account": "123456789012", "kind": "AWS"},
    {"arn": "arn:aws:iam::123456789012:user/carol", "account": "123456789012", "kind": "AWS"},
    {"arn": "arn:aws:iam::123456789012:root", "account": "123456789012", "kind": "AWS"},
    {
        "arn": "arn:aws:sts::123456789012:assumed-role/on-call/bob",
        "account": "123456789012",
        "kind": "AWS",
        "role_arn": "arn:aws:iam::123456789012:role/on-call",
    },
    {"arn": "arn:aws:iam::210987654321:user/alice", "account": "210987654321", "kind": "AWS"},
    {"arn": "ec2.amazonaws.com", "account": "", "kind": "Service"},
]


def trust_document(rng: Random) -> dict[str, Any]:
    version = rng.choice(["2012-10-17", "2008-10-17"])
    statements = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        kinds = rng.sample(list(PRINCIPALS), rng.choice([1, 1, 2]))
        named: Any = "*" if rng.random() < 0.1 else {kind: some(rng, PRINCIPALS[kind]) for kind in kinds}
        statements.append(
            {
                "Effect": "Deny" if rng.random() < 0.25 else "Allow",
                "Principal": named,
                "NotAction" if rng.random() < 0.15 else "Action": some(
                    rng, ["sts:AssumeRole", "sts:*", "STS:tagsession", "sts:Tag?ession"]
                ),
                "Condition": conditions(rng, version) if rng.random() < 0.4 else {},
            }
        )
    return {"Version": version, "Statement": statements}
