"""Blocks that tests of elsewhere run: whether these do, as far as their text says."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import typer.main
from tests.documents.pages import REPOSITORY

from hatchway.cli.main import app

_OPERATORS = re.compile(r"[;|&<>()]+")


class NoSuchTestError(Exception):
    """There is no test of this name: `FILE::TEST`."""


def wants(typed: str) -> set[str]:
    """The words of a command line that mean something to a program, whatever their values are.

    Of `hatchway` these are the subcommands and options, of `make` the target, of another program all that
    have nothing but letters; and variables that are set for it. What only feeds another is left out.
    """
    found: set[str] = set()
    for words in _simple_commands(typed):
        variables = list(takewhile(re.compile("[A-Z_]+=").match, words))
        program, *arguments = words[len(variables) :]
        if program in ("export", "printf", "echo"):
            continue
        found |= {variable.partition("=")[0] for variable in variables}
        if program == "hatchway":
            found |= set(_subcommands(arguments))
        else:
            found |= {word for word in words if re.fullmatch(r"[a-z]+", word)} - {"make"}
        found |= {word.partition("=")[0] for word in arguments if re.match(r"--[a-z]", word)}
    return found


def words_in(test: str) -> set[str]:
    """The words of the texts in a test's module, and but for options those of what it imports of tests, too.

    Raises:
        NoSuchTestError: see there.
    """
    module = _module(test)
    words = set(_texts(module))
    for path in (module.parent / "conftest.py", *_imported(module)):
        if path.is_file():
            words |= {word for word in _texts(path) if not word.startswith("-")}
    return words


def reads(test: str, page: str) -> bool:
    """Whether a test, or a function of its module, has the page's path as a text of its own.

    Raises:
        NoSuchTestError: see there.
    """
    return page in _texts(_module(test))


def _module(test: str) -> Path:
    name, _, function = test.partition("::")
    module = REPOSITORY / name
    if not module.is_file() or function not in {
        node.name for node in ast.walk(_tree(module)) if isinstance(node, ast.FunctionDef)
    }:
        raise NoSuchTestError(test)
    return module


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _texts(path: Path) -> frozenset[str]:
    """Every word of the texts that are no docstrings. The names of what is imported are words too."""
    tree = _tree(path)
    described = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described
    ]
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return frozenset(
        word for text in (*texts, *(module.replace(".", " ") for module in modules)) for word in text.split()
    )


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            yield REPOSITORY / f"{(node.module or '').replace('.', '/')}.py"


def _simple_commands(typed: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(typed.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not _OPERATORS.fullmatch(word):
            words.append(word)
        elif words:
            yield words
            words = []


def _subcommands(arguments: list[str]) -> Iterator[str]:
    command: Any = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return
        yield word
