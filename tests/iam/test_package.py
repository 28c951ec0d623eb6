"""`hatchway.iam` as a library of its own."""

import subprocess
import sys

import hatchway.iam


def test_the_standard_library_is_all_that_it_imports() -> None:
    script = (
        "import sys; before = set(sys.modules); import hatchway.iam;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "hatchway" in imported
    assert [name for name in imported if name not in sys.stdlib_module_names and name != "hatchway"] == []


def test_every_public_name_is_there_and_documented() -> None:
    for name in hatchway.iam.__all__:
        assert getattr(hatchway.iam, name).__doc__, name
