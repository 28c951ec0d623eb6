"""Help for people: what typer says in brackets, of types, defaults and variables, as sentences; and what it
says of wrong values."""

import re
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.main import get_command

_TYPE: Final = re.compile(r" <(?:str|int|float|bool|path|Path|list\[[^>]*)>$")
_CHOICE: Final = re.compile(r"<([^<>]+\|[^<>]+)>$")
_EXTRAS: Final = re.compile(r"\s*\[((?:env var|default|required|[-\d.]+<=x|x[<>]=).*)\]$", re.DOTALL)
_RANGE: Final = re.compile(r"(?:([-\d.]+)<=)?x(?:<=([-\d.]+)|>=([-\d.]+))?")

_PROBLEMS: Final = (
    (re.compile("Input should be less than or equal to "), "give at most "),
    (re.compile("Input should be greater than or equal to "), "give at least "),
    (re.compile("Input should be a valid integer, .*"), "give a whole number"),
    (re.compile("Input should be a valid number, .*"), "give a number"),
    (re.compile("Input should be a finite number"), "give a number"),
    (re.compile("Value error, "), ""),
)
"""What is said of a value that is none, and what to say in its place."""


def plain_command(app: typer.Typer) -> Any:
    """The command of an application, with help texts for people."""
    command = get_command(app)
    _explain_plainly(command)
    return command


def _explain_plainly(command: Any) -> None:
    command.context_class = _Context
    for inner in getattr(command, "commands", {}).values():
        _explain_plainly(inner)


class _Context(typer.Context):
    def make_formatter(self) -> Any:
        formatter: Any = super().make_formatter()
        write_rows, write_usage = formatter.write_dl, formatter.write_usage

        def write_dl(rows: Sequence[tuple[str, str]], *more: Any, **named: Any) -> None:
            write_rows([(_plain_name(name), plain_help(text)) for name, text in rows], *more, **named)

        def write_usage_plainly(program: str, arguments: str = "", *more: Any, **named: Any) -> None:
            # What must be given stands in braces.
            write_usage(program, re.sub(r"\{([^{}]*)\}", r"\1", arguments), *more, **named)

        formatter.write_dl, formatter.write_usage = write_dl, write_usage_plainly
        return formatter


def _plain_name(name: str) -> str:
    return _CHOICE.sub(r"\1", _TYPE.sub("", name))


def plain_problem(text: str) -> str:
    """What is said of a wrong value, as what to give."""
    for library_s, ours in _PROBLEMS:
        text = library_s.sub(ours, text)
    return text


def plain_help(text: str) -> str:
    """A help text whose end in brackets, if any, is made into sentences."""
    found = _EXTRAS.search(text)
    if found is None:
        return text
    said = [_sentence(extra) for extra in found.group(1).split("; ")]
    return " ".join(filter(None, (text[: found.start()], *said)))


def _sentence(extra: str) -> str:
    kind, _, value = extra.partition(": ")
    if kind == "env var":
        return f"Or set {value}."
    if kind == "default":
        plain = value.removeprefix("(").removesuffix(")").strip("'")
        return f"By default {plain.removesuffix('.0')}."
    bounds = _RANGE.fullmatch(extra)
    if bounds is None:
        return "Must be given." if extra == "required" else extra
    low, high = bounds[1] or bounds[3], bounds[2]
    return f"From {low} to {high}." if low and high else f"At least {low}." if low else f"At most {high}."
