"""What the documents have their readers type, and what comments that no reader sees say to these tests.

Every block of commands, ```console, is run as it stands, against a real server, and what it shows has to be
what is printed. A comment right before a block, or several, may say what a test has to know:

    <!-- test: first
    # hatchway apply base.yaml
    -->

has commands run before it, with prompts, like those of the block, and with `afterwards` in the place of
`first` behind it;

    <!-- test: 701b6eb3-cf21-4aa6-82d9-35b6b63676ed is
    # hatchway events --outcome denied --output json | jq -r .requestID | tail -n 1
    -->

puts what a command prints in the place of a text of the block;

    <!-- test: not run, it needs systemd -->
    <!-- test: run by tests/cli/test_demo.py::test_all_goes_as_expected_and_nothing_is_left_behind -->
    <!-- test: read by tests/e2e/test_tutorial.py::test_the_tutorial_works_as_printed -->

say why a block is not run, or which test does so instead: with commands of its own, in which every word of
these that means something to a program has to be, or by reading them from the page.

What is shown may differ from what is printed in what differs each time (ids, keys, times, numbers of bytes
and processes) and in white space; a `…` in it stands for anything. A command of which nothing is shown has to
succeed.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]

PAGES: Final = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])

_BLOCK: Final = re.compile(
    r"(?P<comments>(?:^[ ]*<!-- test: (?:(?!-->).)*-->\n\s*)*)"
    r"^(?P<indent>[ ]*)```console\n(?P<body>.*?)^[ ]*```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT: Final = re.compile(r"<!-- test: (.*?)\s*-->", re.DOTALL)
_PROMPT: Final = re.compile(r"^([\w-]*[#$]) (.*)$")

_VARYING: Final = (
    (r"^Pseudo-terminal will not be allocated because stdin is not a terminal\.\r?$", ""),
    (r"\x1b\[[0-9;]*m", ""),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\b([a-z]+(?:-assoc)?)-[0-9a-f]{17}\b", r"\1-ID"),
    (r"\b(AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{16,17}\b", r"\1-ID"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "TIME"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    # When and for what somebody's key was last used.
    (r",(TIME|N/A),(N/A|[a-z][a-z0-9-]*)$", ",USE"),
    (r"\t(TIME|None)$", " TIME"),
    (r"\bSHA256:[A-Za-z0-9+/]{43}", "FINGERPRINT"),
    (r"\b([0-9a-f]{64}|[0-9a-f]{16})\b", "DIGEST"),
    (r"\bEncrypted again: \d+", "Encrypted again: NUMBER"),
    (r"\b\d[\d,]* bytes\b", "SIZE"),
    (r"\bprocess \d+\b", "process NUMBER"),
    (r"\bstore schema \d+", "store schema NUMBER"),
    (r"\s+", " "),
)  # fmt: skip


class NoSuchKindError(Exception):
    """A comment is none of those that this module knows."""


@dataclass(frozen=True)
class Command:
    """One line that a reader types, however many it takes.

    Attributes:
        prompt: `#` on the server as root, `$` on one's own machine, `web-1#` on that host as root.
        shown: what the page shows it to print; empty if nothing.
    """

    prompt: str
    text: str
    shown: str = ""


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes:
        first: what has to be run before it.
        afterwards: what has to be run behind it, whatever comes of it.
        replaced: texts in it, each with the command whose output stands for it.
        not_run: why it is not run.
        run_by: the test that runs it instead, FILE::TEST, with commands of its own.
        read_by: the test that runs it instead, having read it from the page.
    """

    page: Path
    line: int
    commands: tuple[Command, ...]
    first: tuple[Command, ...] = ()
    afterwards: tuple[Command, ...] = ()
    replaced: tuple[tuple[str, Command], ...] = ()
    not_run: str = ""
    run_by: str = ""
    read_by: str = ""

    @property
    def is_run_here(self) -> bool:
        return not (self.not_run or self.run_by or self.read_by)

    @property
    def here(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of commands of a page, in their order.

    Raises:
        NoSuchKindError: a comment before one is of no kind that there is.
    """
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("body"))
        first: list[Command] = []
        afterwards: list[Command] = []
        replaced: list[tuple[str, Command]] = []
        not_run = run_by = read_by = ""
        for comment in _COMMENT.findall(found["comments"]):
            head, _, rest = comment.partition("\n")
            said = commands(_without_indent(rest, found["indent"]))
            if head == "first" and said:
                first += said
            elif head == "afterwards" and said:
                afterwards += said
            elif head.endswith(" is") and len(said) == 1:
                replaced.append((head.removesuffix(" is"), said[0]))
            elif head.startswith("not run, "):
                not_run = comment.removeprefix("not run, ")
            elif head.startswith("run by ") and not rest:
                run_by = head.removeprefix("run by ")
            elif head.startswith("read by ") and not rest:
                read_by = head.removeprefix("read by ")
            else:
                raise NoSuchKindError(f"{page.relative_to(REPOSITORY)}:{line}: {head}")
        body = tuple(commands(_without_indent(found["body"], found["indent"])))
        yield Block(
            page, line, body, tuple(first), tuple(afterwards), tuple(replaced), not_run, run_by, read_by
        )


def commands(text: str) -> list[Command]:
    """What is typed behind prompts, with the lines that follow as what is printed."""
    found: list[Command] = []
    whole = True
    for line in text.splitlines():
        if not whole:
            last = found[-1]
            found[-1] = Command(last.prompt, f"{last.text}\n{line}")
            whole = _is_whole(found[-1].text)
        elif prompt := _PROMPT.match(line):
            found.append(Command(prompt[1], prompt[2]))
            whole = _is_whole(prompt[2])
        elif found:
            last = found[-1]
            found[-1] = Command(last.prompt, last.text, f"{last.shown}{line}\n")
    return found


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether what a page shows is what was printed, but for what differs each time."""
    pattern = ".*".join(re.escape(part.strip()) for part in without_varying(shown).split("…"))
    return re.fullmatch(pattern, without_varying(printed)) is not None


def without_varying(text: str) -> str:
    """A text without what differs each time."""
    for pattern, instead in _VARYING:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text.strip()


def _without_indent(text: str, indent: str) -> str:
    return re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def _is_whole(command: str) -> bool:
    """Whether a shell has no need of another line."""
    if command.endswith("\\"):
        return False
    if not re.search(r"['\"`({]|<<|\b(do|then)$", command):
        return True
    done = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "here-document" not in done.stderr
