"""Tests of policies as files: cases in, results out.

    policies: ../policies/connect.json           # files relative to this one, or documents; one or a list
    request:                                     # what the cases' requests have in common
      action: ec2-instance-connect:OpenTunnel
      resource: arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-0123456789abcdef0
      context: {"ec2-instance-connect:remotePort": 22}
    cases:
      - {name: port 22 is open, expect: allowed, sid: Tunnel}
      - name: port 23 is not
        request: {context: {"ec2-instance-connect:remotePort": 23}}
        expect: implicitDeny

`boundary` and `guardrails` are given as `policies` are. A case may have its own of all these. Its request's
elements, and the keys of its context, replace those that the file has for all; a key whose value is null is
not in the request. Keys that every request carries are there by themselves, but the time is not: tests do not
depend on it. `resource` may list several of which an Allow needs to match one; `deny_also` lists more
that only a Deny looks at. `expect` is allowed, denied, or either kind of denial: explicitDeny, implicitDeny.
`sid` must then be among the statements that decided.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Never
from xml.etree import ElementTree

from hatchway.access.context import completed_keys, supposed_keys
from hatchway.errors import BadUsage
from hatchway.fleet.problems import BadFleet
from hatchway.fleet.text import read_text
from hatchway.iam import (
    Decision,
    MalformedPolicy,
    Outcome,
    Policy,
    PolicySet,
    Request,
    evaluate,
    parse_policy,
)
from hatchway.policies.files import read_file, read_policy

_MOST_BYTES: Final = 4 * 1024 * 1024
_EXPECTATIONS: Final = {
    "allowed": {Outcome.ALLOWED},
    "denied": {Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY},
    "explicitDeny": {Outcome.EXPLICIT_DENY},
    "implicitDeny": {Outcome.IMPLICIT_DENY},
}
_SOURCES: Final = ("policies", "boundary", "guardrails")
_SUITE: Final = {*_SOURCES, "request", "cases"}
_CASE: Final = {*_SOURCES, "name", "request", "expect", "sid"}
_REQUEST: Final = {"action", "resource", "deny_also", "context"}


@dataclass(frozen=True, slots=True)
class Case:
    """A request, the policies that it is put to, and what is to come of it."""

    file: str
    name: str
    policies: PolicySet
    request: Request
    expect: str
    sid: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case. `problem` is empty when it is as expected."""

    case: Case
    decision: Decision
    problem: str

    @property
    def passed(self) -> bool:
        return not self.problem


def run_case(case: Case) -> Result:
    """Decide the case's request and compare."""
    decision = evaluate(case.request, case.policies)
    problem = ""
    if decision.outcome not in _EXPECTATIONS[case.expect]:
        problem = f"expected {case.expect}, got {decision.outcome}"
    elif case.sid is not None and case.sid not in {statement.sid for statement in decision.deciding}:
        deciding = ", ".join(
            statement.sid or f"Statement[{statement.index}]" for statement in decision.deciding
        )
        problem = f"expected {case.sid} to decide, but {deciding or 'no statement'} did"
    return Result(case, decision, problem)


def junit_xml(results: Sequence[Result]) -> str:
    """The results as JUnit XML, a suite for each file."""
    root = ElementTree.Element("testsuites", _counts(results))
    for file in dict.fromkeys(result.case.file for result in results):
        of_file = [result for result in results if result.case.file == file]
        suite = ElementTree.SubElement(root, "testsuite", {"name": _xml_text(file), **_counts(of_file)})
        for result in of_file:
            names = {"classname": _xml_text(file), "name": _xml_text(result.case.name)}
            case = ElementTree.SubElement(suite, "testcase", names)
            if not result.passed:
                failure = ElementTree.SubElement(case, "failure", {"message": _xml_text(result.problem)})
                failure.text = _xml_text("\n".join(miss.why for miss in result.decision.near_misses))
    ElementTree.indent(root)
    xml: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml.decode() + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(not result.passed for result in results)),
        "errors": "0",
    }


def _xml_text(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(c if c >= " " or c in "\t\n" else "\ufffd" for c in text if not "\ud800" <= c <= "\udfff")


# --- from files to cases ----------------------------------------------------------------------------------


def read_directory(path: Path) -> list[Case]:
    """The cases of all YAML files under a directory, or of one file.

    Raises:
        BadUsage: there are none, or a file is no such file.
    """
    if not path.exists():
        raise BadUsage(f"there is no {path}: give a directory of YAML files such as examples/policy-tests")
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.suffix in (".yaml", ".yml"))
    cases = [case for file in files for case in read_cases(file)]
    if not cases:
        raise BadUsage(f"{path} holds no cases: give a directory of YAML files such as examples/policy-tests")
    return cases


def read_cases(file: Path) -> list[Case]:
    """
    Raises:
        BadUsage: it is no file of cases.
    """
    try:
        content = read_text(read_file(file, _MOST_BYTES))
    except BadFleet as problem:
        raise BadUsage(f"{file}: {problem}") from problem

    def read_named(name: str) -> Policy:
        return read_policy(file.parent / name)

    return suite_cases(content, str(file), read_named)


def suite_cases(content: Any, file: str, read_named: Callable[[str], Policy]) -> list[Case]:
    """The cases of one file's content. `read_named` reads the policy files that it names.

    Raises:
        BadUsage: the content is no suite, or a policy is none.
    """
    return _Suite(file, read_named).cases(content)


class _Suite:
    """Reads one file's content."""

    def __init__(self, file: str, read_named: Callable[[str], Policy]) -> None:
        self._file = file
        self._read_named = read_named
        self._policies: dict[str, Policy] = {}

    def cases(self, content: Any) -> list[Case]:
        suite = self._mapping(content, "", _SUITE)
        request = self._mapping(suite.get("request") or {}, "request", _REQUEST)
        cases = suite.get("cases")
        if not isinstance(cases, list):
            self._refuse("", "has no list of cases")
        return [self._case(case, f"cases[{n}]", suite, request) for n, case in enumerate(cases)]

    def _case(self, content: Any, place: str, suite: Mapping[str, Any], common: Mapping[str, Any]) -> Case:
        case = self._mapping(content, place, _CASE)
        name, expect, sid = case.get("name"), case.get("expect"), case.get("sid")
        if not isinstance(name, str) or not name:
            self._refuse(place, "has no name")
        if not isinstance(expect, str) or expect not in _EXPECTATIONS:
            self._refuse(f"{place}.expect", f"is none of {', '.join(_EXPECTATIONS)}")
        if sid is not None and (not isinstance(sid, str) or expect == "implicitDeny"):
            self._refuse(
                f"{place}.sid", "must be the Sid of a statement, and no statement decides implicitDeny"
            )
        own = self._mapping(case.get("request") or {}, f"{place}.request", _REQUEST)
        policies = {
            source: self._sources(
                case[source] if source in case else suite.get(source),
                f"{place}.{source}" if source in case else source,
            )
            for source in _SOURCES
        }
        if len(policies["boundary"]) > 1:
            self._refuse(f"{place}.boundary", "is more than one policy")
        return Case(
            self._file,
            name,
            PolicySet(
                identity=policies["policies"],
                boundary=next(iter(policies["boundary"]), None),
                guardrails=policies["guardrails"],
            ),
            self._request(common, own, f"{place}.request"),
            expect,
            sid,
        )

    def _request(self, common: Mapping[str, Any], own: Mapping[str, Any], place: str) -> Request:
        request = {**common, **own}
        action = request.get("action")
        if not isinstance(action, str) or ":" not in action:
            self._refuse(f"{place}.action", "is not service:action")
        context = {
            **self._mapping(common.get("context") or {}, "request.context"),
            **self._mapping(own.get("context") or {}, f"{place}.context"),
        }
        resources = tuple(self._texts(request.get("resource", "*"), f"{place}.resource"))
        told: dict[str, str | tuple[str, ...]] = {
            # What is null is taken out, and so is a key without values.
            key: () if value is None else self._value(value, f"{place}.context.{key}")
            for key, value in context.items()
        }
        supposed = supposed_keys(action, resources[0]) if resources else {}
        try:
            return Request(
                action,
                resources,
                completed_keys(told, supposed),
                tuple(self._texts(request.get("deny_also") or [], f"{place}.deny_also")),
            )
        except ValueError as problem:
            self._refuse(place, str(problem))

    def _value(self, value: Any, place: str) -> str | tuple[str, ...]:
        """A condition key's value: what YAML reads as an integer or boolean is its text."""
        if isinstance(value, list):
            return tuple(self._scalar(item, place) for item in value)
        return self._scalar(value, place)

    def _scalar(self, value: Any, place: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int):
            self._refuse(place, "is no text, number, boolean or list of these")
        return str(value)

    def _sources(self, value: Any, place: str) -> tuple[Policy, ...]:
        if value is None:
            return ()
        listed = value if isinstance(value, list) else [value]
        return tuple(self._policy(item, f"{place}[{n}]") for n, item in enumerate(listed))

    def _policy(self, value: Any, place: str) -> Policy:
        if isinstance(value, str):
            if value not in self._policies:
                self._policies[value] = self._read_named(value)
            return self._policies[value]
        if not isinstance(value, Mapping):
            self._refuse(place, "is neither a file's name nor a document")
        try:
            return parse_policy(value, name=place)
        except MalformedPolicy as problem:
            self._refuse(place, str(problem))

    def _texts(self, value: Any, place: str) -> Iterable[str]:
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str):
                self._refuse(place, "is no text or list of texts")
            yield item

    def _mapping(self, value: Any, place: str, known: set[str] | None = None) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._refuse(place, "is not a mapping")
        for key in value:
            if known is not None and key not in known:
                self._refuse(place, f"has {key!r}, which is none of {', '.join(sorted(known))}")
        return value

    def _refuse(self, place: str, problem: str) -> Never:
        raise BadUsage(f"{self._file}: {f'{place} ' if place else ''}{problem}")
