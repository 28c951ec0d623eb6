"""Text for a terminal."""

import sys


def printable(text: str) -> str:
    """The text with whatever a terminal might obey, such as an escape sequence, spelled out.

    Values in the audit trail are whatever clients sent, and those in lists whatever a server says.
    """
    return text if text.isprintable() else "".join(map(_spelled_out, text))


def _spelled_out(character: str) -> str:
    if character.isprintable():
        return character
    import json

    # DEL is the one of them that JSON leaves as it is.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def say(*lines: str, err: bool = False) -> None:
    """Prints lines, of which a terminal gets text."""
    import typer

    typer.echo("\n".join(map(printable, lines)), err=err)


def give(document: str) -> None:
    """Prints a text of many lines: to a file or a program as it is, to a terminal as `say`."""
    import typer

    if sys.stdout is not None and sys.stdout.isatty():
        document = "\n".join(map(printable, document.split("\n")))
    typer.echo(document, nl=False)
