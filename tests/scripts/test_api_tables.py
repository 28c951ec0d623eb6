"""The tables of docs/api.md are those that the code gives."""

from scripts.api_tables import MARKED, PAGE, TABLES, written_anew

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_as_the_code_is_now() -> None:
    assert written_anew(TEXT) == TEXT, "make tables"


def test_each_table_is_on_the_page_once_and_has_rows() -> None:
    assert sorted(name for _, name, _ in MARKED.findall(TEXT)) == sorted(TABLES)
    for table in TABLES.values():
        assert len(list(table())) > 2


def test_a_table_that_is_out_of_date_is_noticed() -> None:
    assert written_anew(TEXT.replace("| `ec2` |", "| `ec3` |")) == TEXT
