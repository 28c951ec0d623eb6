import pytest

from hatchway.pki.name_constraints import is_dns_name


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("localhost", True),
        ("gateway.example.com", True),
        ("xn--bcher-kva.example", True),
        ("a" * 63 + ".example", True),
        ("a" * 64 + ".example", False),
        ("gateway.example.com.", False),
        ("-gateway.example", False),
        ("*.example.com", False),
        ("10.0.0.1", False),
        ("gateway:443", False),
        ("", False),
        ("gateway.example\n", False),
    ],
)
def test_dns_names(text: str, good: bool) -> None:
    assert is_dns_name(text) is good
