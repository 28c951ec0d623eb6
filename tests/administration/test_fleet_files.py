"""Fleet files and the policies' files that they name, as they lie on the disk."""

import os
from pathlib import Path

import pytest

from hatchway.administration.fleet_files import load_fleet
from hatchway.fleet import BadFleet


def test_a_file_that_is_not_there_is_a_problem_like_others(tmp_path: Path) -> None:
    with pytest.raises(BadFleet, match="cannot be read: No such file or directory"):
        load_fleet(tmp_path / "nothing.yaml")


ALLOW = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'


def test_policies_are_read_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.json").write_text(ALLOW)
    (tmp_path / "fleet.yaml").write_text("policies: {all: policies/all.json}")
    fleet = load_fleet(tmp_path / "fleet.yaml")
    assert fleet.policies[0].document == ALLOW


def test_a_policys_file_must_be_one_and_hold_a_policy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * (1024 * 1024 + 1))
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "secret").write_text("password")
    (tmp_path / "long").write_text(ALLOW.replace('"*"', f'"ec2:{"x" * 7000}"', 1))
    names = ["pipe", "large", "binary", "secret", "long", "missing", ".", "nul\\0"]
    (tmp_path / "fleet.yaml").write_text(
        "policies:\n" + "".join(f'  p{n}: "{name}"\n' for n, name in enumerate(names))
    )
    with pytest.raises(BadFleet) as refusal:
        load_fleet(tmp_path / "fleet.yaml")
    assert str(refusal.value).splitlines() == [
        "policies.p0 (pipe): cannot be read: is not a regular file",
        "policies.p1 (large): cannot be read: has more than 1048576 bytes",
        "policies.p2 (binary): cannot be read: it is not UTF-8 text (byte 0)",
        "policies.p3 (secret): line 1 column 1: is not JSON: expecting value",
        "policies.p4 (long): the policy has 7063 characters, white space not counted; the quota is 6144",
        "policies.p5 (missing): cannot be read: No such file or directory",
        "policies.p6 (.): cannot be read: is not a regular file",
        "policies.p7 (nul\\x00): cannot be read: is not the path of a file",
    ]
