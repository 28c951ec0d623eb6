"""Which names one certificate has of all that are wanted."""

import pytest

from hatchway.pki.alternative_names import NAMES_SIZE, fitting, is_covered, names_size, wildcard_of

MANY = [f"endpoint-{number}.gw.example" for number in range(5000)]


def test_a_certificate_has_no_name_that_one_of_its_wildcards_is_for() -> None:
    names = ["gw.example", "*.gw.example", *MANY, "a.b.gw.example", "gw.example", "10.0.0.1"]
    fit = fitting(names)
    assert fit == ["gw.example", "*.gw.example", "a.b.gw.example", "10.0.0.1"]
    assert all(is_covered(name, fit) for name in names)


def test_of_too_many_names_it_has_the_first() -> None:
    held = fitting(["api.example", *MANY])
    assert held == ["api.example", *MANY][: len(held)]
    assert names_size(held) <= NAMES_SIZE < names_size(["api.example", *MANY[: len(held)]])


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("a.example", True),
        ("A.EXAMPLE", True),
        ("example", False),
        ("b.a.example", False),
        ("10.0.0.1", True),
    ],
)
def test_a_wildcard_is_for_one_label_and_for_no_address(host: str, covered: bool) -> None:
    assert is_covered(host, ["*.example", "10.0.0.1", "*.0.0.2"]) is covered
    assert not is_covered("10.0.0.2", ["*.0.0.2"])


def test_no_wildcard_is_for_another() -> None:
    assert wildcard_of("a.example") == "*.example"
    assert fitting(["*.a.example", "*.example", "*.*.example"]) == ["*.a.example", "*.example", "*.*.example"]
