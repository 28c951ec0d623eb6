"""Every block of commands in the README and the documents is run by a test, or says why not."""

import re
from pathlib import Path

import pytest
from tests.documents.elsewhere import NoSuchTestError, reads, wants, words_in
from tests.documents.pages import PAGES, REPOSITORY, Block, blocks, commands, is_as_shown
from tests.documents.world import World

BLOCKS = {page: list(blocks(page)) for page in PAGES}
ALL = [block for found in BLOCKS.values() for block in found]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(REPOSITORY)))
        for page, found in BLOCKS.items()
        if any(block.is_run_here for block in found)
    ],
)
def test_a_page_shows_what_its_commands_print(read_world: World, page: Path) -> None:
    read_world.begin()
    for block in BLOCKS[page]:
        if block.is_run_here:
            read_world.run(block)


def test_there_is_no_block_of_commands_of_any_other_kind() -> None:
    for page, found in BLOCKS.items():
        text = page.read_text()
        assert len(found) == len(re.findall(r"^ *```console$", text, re.MULTILINE)), page
        # A block of shell commands in another guise.
        assert not re.search(r"^ *```(sh|bash|shell|shell-session)?\n *[\w-]*[#$] ", text, re.MULTILINE), page
    for block in ALL:
        assert block.commands, f"{block.here}: no prompt"
        assert sum(map(bool, (block.not_run, block.run_by, block.read_by))) <= 1, block.here


@pytest.mark.parametrize("block", [block for block in ALL if block.run_by], ids=lambda block: block.here)
def test_a_test_that_runs_a_block_elsewhere_has_every_word_of_it_that_means_something(block: Block) -> None:
    missing = {word for command in block.commands for word in wants(command.text)} - words_in(block.run_by)
    assert missing == set(), f"{block.here}: {block.run_by} has nothing of this: the page and it differ"


@pytest.mark.parametrize("block", [block for block in ALL if block.read_by], ids=lambda block: block.here)
def test_a_test_that_reads_a_block_from_its_page_names_the_page(block: Block) -> None:
    assert reads(block.read_by, str(block.page.relative_to(REPOSITORY))), block.here


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("hatchway serve … --metrics 127.0.0.1:9464", {"serve", "--metrics"}),
        (
            "OTEL_ONE=x hatchway policy test examples --junit=x.xml",
            {"OTEL_ONE", "policy", "test", "--junit"},
        ),
        ("printf 'QUIT' | hatchway open-tunnel web-1 --remote-port 25", {"open-tunnel", "--remote-port"}),
        ("ip rule add iif eth1 ipproto tcp", {"ip", "rule", "add", "iif", "ipproto", "tcp"}),
        ("export AWS_PROFILE=admin", set()),
    ],
)
def test_words_that_mean_something_are_subcommands_options_and_variables(typed: str, words: set[str]) -> None:
    assert wants(typed) == words


def test_a_test_that_is_not_there_is_noticed() -> None:
    here = "tests/documents/test_blocks.py"
    for gone in (f"{here}::test_of_old", "tests/documents/test_gone.py::test_it", here):
        with pytest.raises(NoSuchTestError):
            words_in(gone)


def test_an_option_that_another_test_does_not_give_is_noticed() -> None:
    words = words_in(
        "tests/cli/test_gateway_options.py::test_each_worker_tells_prometheus_at_a_port_of_its_own"
    )
    assert wants("hatchway serve --metrics 127.0.0.1:9464") <= words
    assert wants("hatchway serve --metric 127.0.0.1:9464") - words == {"--metric"}


def test_what_comes_before_and_behind_a_block_is_read_from_comments(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- test: first\n# one\n# two\n -->\n<!-- test: afterwards\n$ three\n -->\n```console\n# now\n```\n"
    )
    (block,) = blocks(page)
    assert block.first == tuple(commands("# one\n# two"))
    assert block.afterwards == tuple(commands("$ three"))
    assert block.is_run_here


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
