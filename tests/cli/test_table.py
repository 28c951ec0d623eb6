"""What a list shows of what others have written."""

from hatchway.cli.table import table


def test_each_column_is_as_wide_as_its_widest_cell() -> None:
    assert table([("A", "B"), ("web-1", "x"), ("1", "")]) == ["A      B", "web-1  x", "1"]


def test_a_terminal_is_told_no_orders_and_no_line_but_the_table_s() -> None:
    assert table([("HOST",), ("\x1b[2Jgw\n\r\u202e\x9b",)]) == ["HOST", "\\u001b[2Jgw\\n\\r\\u202e\\u009b"]
