"""What every page begins with."""

import re

from tests.documents.pages import PAGES, REPOSITORY


def test_a_page_says_right_below_its_title_for_whom_it_is() -> None:
    pages = [page for page in PAGES if page != REPOSITORY / "README.md"]
    assert pages
    assert [page for page in pages if not re.match(r"# .+\n\n\*For .+[.]\*\n\n", page.read_text())] == []
