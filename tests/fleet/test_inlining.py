"""Fleet files that go to where the policies' files are not."""

import json

import pytest

from hatchway.fleet import BadFleet, parse_fleet
from hatchway.fleet.inlining import with_policies_inline

POLICY = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}'
TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"},'
    ' "Action": "sts:AssumeRole"}}'
)
FILE = f"""
policies:
  by-path: p.json
  said-more: {{document: p.json, description: d}}
  in-place: {{Version: "2012-10-17", Statement: {{Effect: Deny, Action: "*", Resource: "*"}}}}
  as-text: '{POLICY}'
users: {{alice: {{inline: {{extra: p.json}}}}, bob: }}
groups: {{g: {{inline: }}}}
roles: {{r: {{trust: t.json, inline: {{extra: p.json}}}}}}
""".encode()


def read_file(path: str) -> bytes:
    return b"\xef\xbb\xbf" + {"p.json": POLICY, "t.json": TRUST}[path].encode()


def test_every_path_is_replaced_by_the_document_and_all_else_stays() -> None:
    inlined = with_policies_inline(FILE, read_file)
    assert b"p.json" not in inlined
    assert json.loads(inlined)["policies"]["by-path"] == POLICY
    by_path, alone = parse_fleet(FILE, read_file), parse_fleet(inlined)
    assert [document.text for document in by_path.documents] == [
        document.text for document in alone.documents
    ]
    assert (by_path.users, by_path.roles, by_path.groups) == (alone.users, alone.roles, alone.groups)


def test_a_file_that_names_no_path_stays_to_the_letter() -> None:
    for content in (b"users: {a: {}} # mine\n", b"", b"[]", f"policies: {{a: '{POLICY}'}}".encode()):
        assert with_policies_inline(content, read_file) is content


def test_a_policy_s_file_that_is_gone_meanwhile_is_a_problem() -> None:
    def gone(path: str) -> bytes:
        raise OSError("gone")

    with pytest.raises(BadFleet, match=r"p\.json: cannot be read: gone"):
        with_policies_inline(FILE, gone)
