"""Every `hatchway` command that the documents show is one that there is, with options that it has."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from tests.cli import command_tree

from hatchway.cli.main import app

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("*/*.md"), *REPOSITORY.glob("examples/*.yaml")]
)
OPERATORS = re.compile(r"[;|&<>()]+")


NOT_COMMANDS = re.compile(r"…|^hatchway \d|\bCOMMAND\b|--(install|show)-completion")
"""What stands for something else, the version, and what would be done by being parsed."""


def shown_commands(text: str) -> Iterator[str]:
    """The lines of its console blocks that have a prompt, and those of a file's first comment."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for found in re.finditer(r"^[\w-]*[#$] ((?:.*\\\n)*.*)$", block, re.MULTILINE):
            yield found[1].replace("\\\n", " ")
    yield from (found[1] for found in re.finditer(r"^#   (hatchway .*?)(?:   .*)?$", text, re.MULTILINE))


def mentioned_commands(text: str) -> Iterator[str]:
    """What is set as code within a line: often the command's name alone, without what it must be given."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (found[1] for found in re.finditer(r"`((?:sudo )?hatchway [^`]*)`", prose))


def hatchway_arguments(line: str) -> Iterator[list[str]]:
    """The arguments of each `hatchway` that a line of shell runs."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    arguments: list[str] | None = None
    first = True
    for word in [*words, ";"]:
        if OPERATORS.fullmatch(word):
            if arguments is not None:
                yield arguments
            arguments, first = None, True
        elif arguments is not None:
            arguments.append(word)
        elif first and word == "hatchway":
            arguments = []
        else:
            first = first and (word == "sudo" or "=" in word)


def parse(arguments: list[str]) -> None:
    """
    Raises:
        typer.TyperException: it is no command line of ours.
    """
    context = command_tree.command(app).make_context("hatchway", list(arguments))
    while isinstance(context.command, typer.core.TyperGroup) and context._protected_args:
        name, command, rest = context.command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None, name
        context = command.make_context(name, rest, parent=context)


def commands(found: Callable[[str], Iterator[str]]) -> list[object]:
    return [
        pytest.param(arguments, id=f"{path.name}: {' '.join(arguments)}"[:100])
        for path in DOCUMENTS
        for line in found(path.read_text())
        if not NOT_COMMANDS.search(line)
        for arguments in hatchway_arguments(line)
    ]


SHOWN, MENTIONED = commands(shown_commands), commands(mentioned_commands)


@pytest.mark.parametrize("arguments", SHOWN)
def test_a_documented_command_is_one_that_there_is(arguments: list[str]) -> None:
    parse(arguments)


@pytest.mark.parametrize("arguments", MENTIONED)
def test_a_command_that_is_mentioned_is_one_that_there_is(arguments: list[str]) -> None:
    try:
        parse(arguments)
    except typer.TyperException as problem:
        missing = ("Missing argument", "Missing parameter", "Missing option", "requires an argument")
        if not any(words in problem.format_message() for words in missing):
            raise


def test_there_are_many_of_them() -> None:
    assert len(SHOWN) > 30
    assert len(MENTIONED) > 30
