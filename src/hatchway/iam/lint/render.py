"""Findings as text for people, as JSON, and as SARIF 2.1.0 for code hosts and editors."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hatchway.iam.lint.findings import KINDS, Finding
from hatchway.iam.positions import Position, Span, spans

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_AND_COLUMN = re.compile(r"line (\d+) column (\d+)")


class LintedFile(NamedTuple):
    """A document's name (its path), its text and what was found in it."""

    name: str
    text: str
    findings: tuple[Finding, ...]


def _located(file: LintedFile) -> list[tuple[Finding, Span]]:
    """Findings with the part of the text that they are about, or that encloses it."""
    known = spans(file.text)
    whole = Span(Position(1, 1), Position(1, 1))
    located = []
    for finding in file.findings:
        place = finding.place
        if match := _LINE_AND_COLUMN.fullmatch(place):
            at = Position(int(match[1]), int(match[2]))
            located.append((finding, Span(at, at)))
            continue
        while place and place not in known:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        located.append((finding, known.get(place, whole)))
    return located


def to_text(files: Sequence[LintedFile]) -> str:
    """One paragraph for each finding, ``path:line:column: severity: message [code]`` and what to do."""
    lines = []
    for file in files:
        for finding, span in _located(file):
            where = f"{file.name}:{span.start.line}:{span.start.column}"
            lines.append(f"{where}: {finding.severity}: {finding.place}: {finding.message} [{finding.code}]")
            lines.append(f"    {finding.fix}")
    return "".join(f"{line}\n" for line in lines)


def to_json(files: Sequence[LintedFile]) -> str:
    """A list with an object for each finding."""
    found = [
        {"file": file.name, "line": span.start.line, "column": span.start.column, **finding.to_json()}
        for file in files
        for finding, span in _located(file)
    ]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def to_sarif(files: Sequence[LintedFile], version: str) -> str:
    """A log of one run ("Static Analysis Results Interchange Format (SARIF) Version 2.1.0", OASIS).

    `version` is that of the tool.
    """
    rules = [
        {
            "id": code,
            "shortDescription": {"text": kind.summary},
            "defaultConfiguration": {"level": str(kind.severity)},
        }
        for code, kind in KINDS.items()
    ]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "hatchway", "version": version, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(file.name, finding, span) for file in files for finding, span in _located(file)
                ],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _result(name: str, finding: Finding, span: Span) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "level": str(finding.severity),
        "message": {"text": f"{finding.message} {finding.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": name},
                    "region": {
                        "startLine": span.start.line,
                        "startColumn": span.start.column,
                        "endLine": span.end.line,
                        "endColumn": span.end.column,
                    },
                },
                "logicalLocations": [{"fullyQualifiedName": finding.place}],
            }
        ],
    }
