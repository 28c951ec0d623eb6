"""What a command ends with when it cannot do what it was asked."""

from typing import ClassVar


class CommandFailed(Exception):
    """The command could not do it. The message is one line that says what to do about it."""

    exit_code: ClassVar[int] = 1


class BadUsage(CommandFailed):
    """What was given cannot be right: an option, an argument, or a file that one names."""

    exit_code = 2


class TunnelFailed(CommandFailed):
    """A tunnel was refused, or ended otherwise than by its target. The AWS CLI ends so too."""

    exit_code = 255


def reason(problem: OSError | UnicodeError) -> str:
    """Why a file could not be read or written, without the number and the name that Python tells with it."""
    if isinstance(problem, UnicodeDecodeError):
        return f"it is not {problem.encoding.upper()} text (byte {problem.start})"
    return getattr(problem, "strerror", None) or str(problem)
