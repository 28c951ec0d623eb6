"""YAML and JSON as fleet files have them, and what they may not do."""

import os
from pathlib import Path

import pytest

from hatchway.control.fleet import BadFleet, load_fleet, parse_fleet
from hatchway.control.fleet import text as text_module
from hatchway.control.fleet.text import MAX_DEPTH, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("a: yes\nb: on\nc: 2012-10-17\nd: 3.50\ne: 1:30\nf: 0x10\ng: 010",
         {"a": "yes", "b": "on", "c": "2012-10-17", "d": "3.50", "e": "1:30", "f": "0x10", "g": "010"}),
        ("a: true\nb: null\nc: ~\nd:\ne: -7\nf: '7'",
         {"a": True, "b": None, "c": None, "d": None, "e": -7, "f": "7"}),
        ("a: !!str 7", {"a": "7"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("{a: [b, {c: d}]}", {"a": ["b", {"c": "d"}]}),
        ('{"a": 2.50, "b": 123456789012345678901234567890}',
         {"a": "2.50", "b": "123456789012345678901234567890"}),
        ("\ufeffa: b", {"a": "b"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    ],
)  # fmt: skip
def test_a_text_is_read_as(text: str, value: object) -> None:
    assert read_text(text.encode()) == value


def test_aliases_cannot_make_much_of_little() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(BadFleet, match=r"line \d+ column \d+: the file has more than 10000000 values"):
        read_text("\n".join(lines).encode())


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", '{"a": ', '["a", '])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200_000])
def test_deep_nesting_is_refused(opening: str, depth: int) -> None:
    closing = {"[": "]", "{": "}", "-": ""}[opening[0]]
    inner = "1" if opening[0] == "{" else ""
    with pytest.raises(BadFleet, match="nested too deeply"):
        read_text((opening * depth + inner + closing * depth).encode())


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_BYTES", 1024 * 1024)
    with pytest.raises(BadFleet, match="more than 1 MiB"):
        read_text(b"#" * (1024 * 1024 + 1))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadFleet, match=r"not UTF-8 text \(byte 3\)"):
        read_text(b"a: \xff")


def test_half_a_surrogate_is_refused_wherever_it_stands() -> None:
    with pytest.raises(BadFleet) as refusal:
        parse_fleet(
            b'{"users": {"\\ud800": {}}, "vpcs": {"a": {"cidr": "10.0.0.0/8", "tags": {"k": "\\ud800"}}}}'
        )
    assert len(refusal.value.problems) == 2
    str(refusal.value).encode()


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


def test_inline_policies_of_one_identity_share_a_quota() -> None:
    policy = ALLOW.replace('"*"', f'"ec2:{"x" * 1500}"', 1)
    with pytest.raises(BadFleet) as refusal:
        parse_fleet(f"users: {{alice: {{inline: {{a: '{policy}', b: '{policy}'}}}}}}".encode())
    (problem,) = refusal.value.problems
    assert problem.place == "users.alice.inline"
    assert "the quota is 2048" in problem.message
