"""Every block of commands in the README and the documents is run by a test, or says why not."""

import re
from pathlib import Path

import pytest
from tests.documents.pages import PAGES, REPOSITORY, Block, blocks, is_as_shown
from tests.documents.world import World

BLOCKS = {page: list(blocks(page)) for page in PAGES}


def is_run_here(block: Block) -> bool:
    return not block.not_run and not block.run_by


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(REPOSITORY)))
        for page, found in BLOCKS.items()
        if any(map(is_run_here, found))
    ],
)
@pytest.mark.timeout(600)
def test_a_page_shows_what_its_commands_print(read_world: World, page: Path) -> None:
    read_world.begin()
    for block in BLOCKS[page]:
        if is_run_here(block):
            read_world.run(block)


def test_there_is_no_block_of_commands_of_any_other_kind() -> None:
    for page, found in BLOCKS.items():
        text = page.read_text()
        assert len(found) == len(re.findall(r"^ *```console$", text, re.MULTILINE)), page
        # A block of shell commands in another guise.
        assert not re.search(r"^ *```(sh|bash|shell|shell-session)?\n *[\w-]*[#$] ", text, re.MULTILINE), page
    for block in [block for found in BLOCKS.values() for block in found]:
        assert block.commands, f"{block.here}: no prompt"
        assert not (block.not_run and block.run_by), block.here


def test_a_block_that_another_test_runs_is_on_a_page_that_this_test_names() -> None:
    elsewhere = [block for found in BLOCKS.values() for block in found if block.run_by]
    assert elsewhere
    for block in elsewhere:
        test = REPOSITORY / block.run_by
        assert test.is_file(), block.here
        assert block.page.name in test.read_text(), f"{block.here}: {block.run_by} does not name the page"


def test_every_comment_for_these_tests_stands_before_a_block() -> None:
    for page in PAGES:
        text = page.read_text()
        assert not re.search(
            r"<!-- test: (?:(?!-->).)*-->(?!\s*(<!-- test: |```console\n))", text, re.DOTALL
        ), page


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a  b\n", "a b", True),
        ("a c", "a b", False),
        ("a b", "a b c", False),
        ("a … d", "a b\nc d", True),
        ("i-0123456789abcdef0", "i-fedcba98765432100", True),
        ("i-0123456789abcdef0", "vpc-fedcba98765432100", False),
        ("at 2026-11-29 08:00:00", "at 2027-01-01 09:12:13", True),
        ("port 22", "port 23", False),
    ],
)
def test_what_is_shown_may_differ_in_what_differs_each_time_alone(
    shown: str, printed: str, same: bool
) -> None:
    assert is_as_shown(shown, printed) is same
