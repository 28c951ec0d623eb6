"""Fleet files: any bytes are a fleet or problems; text means what JSON and YAML say that it means."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from fuzz.draws import Draws
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.problems import BadFleet
from hatchway.fleet.text import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CONSTANTS = {"null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_LONGEST_PROBLEM = 2_000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""As the reader's own: libyaml and PyYAML do not take quite the same."""


def one_input(data: bytes) -> None:
    draws = Draws(data)
    content = (
        draws.rest() if draws.chance(2) else json.dumps(_drawn(draws, 0)).encode("utf-8", "surrogatepass")
    )
    _agrees(content)
    try:
        fleet = parse_fleet(content)
    except BadFleet as bad:
        assert bad.problems
        for problem in bad.problems:
            assert len(str(problem)) < _LONGEST_PROBLEM, problem
            # It goes to a terminal, and into logs.
            str(problem).encode()
            assert str(problem).isprintable(), problem
        return
    assert parse_fleet(content) == fleet


def _agrees(content: bytes) -> None:
    try:
        value = read_text(content)
    except BadFleet:
        return
    text = content.decode("utf-8-sig")
    try:
        expected = json.loads(text, parse_int=_number, parse_float=str)
    except (ValueError, RecursionError):
        expected = _by_pyyaml(text)
    assert value == expected, (value, expected)


def _number(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _by_pyyaml(text: str) -> Any:
    """The same by PyYAML's own nodes."""
    node = yaml.compose(text, Loader=_Loader)
    return None if node is None else _of_node(node)


def _of_node(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {_of_node(key): _of_node(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_of_node(item) for item in node.value]
    text: str = node.value
    if getattr(node, "style", None) or node.tag == "tag:yaml.org,2002:str":
        return text
    if text in ("", "~", "Null", "NULL"):
        return None
    lower = text.lower()
    if lower in _CONSTANTS and text in (lower, lower.title(), lower.upper()):
        return _CONSTANTS[lower]
    return _number(text)


_KEYS = (
    "account",
    "region",
    "quotas",
    "vpcs",
    "instances",
    "endpoints",
    "policies",
    "groups",
    "users",
    "roles",
    "guardrails",
)
_INNER = (
    "cidr", "subnets", "availability_zone", "tags", "security_groups", "ingress", "egress", "protocol",
    "ports", "source", "destination", "id", "subnet", "private_ip", "ipv6", "state", "max_tunnels",
    "preserve_client_ip", "document", "attached", "path", "inline", "permissions_boundary", "trust",
    "web", "office", "members",
)  # fmt: skip
_LEAVES: tuple[Any, ...] = (
    "10.0.0.0/16", "office/web", "us-east-1a", "all", "tcp", "22", 22, "10.0.1.1", True, None, "", -1,
    "123456789012",
    "i-0123456789abcdef0", "vpcs", {}, [], "fd00::/32", "\u2028", "é",
)  # fmt: skip


def _drawn(draws: Draws, depth: int) -> Any:
    if depth > 4 or (depth and draws.chance(2)):
        return draws.one_of(_LEAVES) if not draws.chance(8) else draws.text(10)
    if draws.chance(6):
        return [_drawn(draws, depth + 1) for _ in range(draws.below(3))]
    keys = _KEYS if not depth else _INNER
    return {draws.one_of(keys): _drawn(draws, depth + 1) for _ in range(1 + draws.below(4))}


def seeds() -> list[bytes]:
    whole = b"""account: '123456789012'
region: us-east-1
vpcs:
  office:
    cidr: [10.0.0.0/16, "fd00:10::/32"]
    subnets:
      web: &web {cidr: 10.0.1.0/24, availability_zone: us-east-1a, tags: {env: dev}}
    security_groups:
      open: {ingress: [{protocol: tcp, ports: 22-23, source: 10.0.0.0/16}]}
instances:
  web-1: {id: i-0123456789abcdef1, subnet: office/web, private_ip: 10.0.1.1, security_groups: [office/open]}
endpoints:
  office: {id: eice-0123456789abcdef0, subnet: office/web, max_tunnels: 200}
users:
  alice:
    tags: {team: "a"}
    inline:
      p: {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}
"""
    texts = [
        whole,
        json.dumps(yaml.safe_load(whole.replace(b"2012-10-17", b"'2012-10-17'"))).encode(),
        b"a: &a [x, *a]\n",
        b"a: &a {b: 1}\nc: *a\n",
        b"a: !!python/object:os.system x\n",
        b"a: !!str 1\n",
        b"{a: 1, a: 2}",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"? [1]\n: 2\n",
        b"a: {b: i-0?1, c: d}\n",
        b"- " * 60 + b"x",
        b"[" * 5000,
        b"\xff\xfea",
        b"---\na: 1\n---\nb: 2\n",
        b"a: 0o17\nb: 1_000\nc: 12:30\nd: .5\ne: 2012-10-17\nf: yes\n",
        b'a: |\n  b\n c: "\\ud800"\n',
        b'vpcs: {"a\\u2028\\x1b[31m": {cidr: "\\x1b"}}\n',
    ]
    return [b"\1" + text for text in texts] + [
        b"\0" + bytes(at * 7 % 256 for at in range(start, start + 90)) for start in range(20)
    ]


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    texts = {
        "many keys": b"".join(b"k%d: 1\n" % number for number in range(size)),
        "many vpcs": b"vpcs:\n"
        + b"".join(b"  v%d: {cidr: 10.0.0.0/16}\n" % number for number in range(size)),
        "a long line": b"account: " + b"1" * 20 * size,
        "aliases": b"a: &a [x]\nb: [" + b"*a," * size + b"]\n",
        "a long number": b'{"account": ' + b"1" * 20 * size + b"}",
    }

    def work(text: bytes) -> None:
        try:
            parse_fleet(text)
        except BadFleet as bad:
            str(bad)

    return {what: partial(work, text) for what, text in texts.items()}
