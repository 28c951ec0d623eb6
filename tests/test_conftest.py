"""What holds for every test: CI counts a skip as a failure, and logs are each test's own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SKIPPED = {
    "in_the_test": "import pytest\ndef test_it(): pytest.skip('nothing here')\n",
    "in_a_fixture": (
        "import pytest\n@pytest.fixture\ndef it(): pytest.skip('nothing here')\ndef test_it(it): ...\n"
    ),
    "whole": "import pytest\npytest.skip('nothing here', allow_module_level=True)\n",
}
OTHERS = {
    "not_fetched": (
        "import pytest\nfrom tests.programs import NOT_FETCHED\n"
        "def test_it(): pytest.skip(f'{NOT_FETCHED}a large thing')\n"
    ),
    "expected": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n",
    "passes": "def test_it(): ...\n",
}


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_skip_fails_where_everything_must_run_and_no_expected_failure(tmp_path: Path, ci: str) -> None:
    told = _run_pytest(tmp_path, SKIPPED | OTHERS, ci)
    for name in SKIPPED:
        assert re.search(
            rf"^{'(FAILED|ERROR)' if ci else 'SKIPPED'} .*test_{name}.*nothing here$", told, re.M
        )
    counts = "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors" if ci else "1 passed, 4 skipped, 1 xfailed"
    assert f"\n{counts} in " in told


@pytest.mark.parametrize(
    "configured",
    [
        "structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))",
        "structlog.configure(cache_logger_on_first_use=True, processors=[structlog.dev.ConsoleRenderer()])",
    ],
    ids=["quiet", "kept by the loggers that were used"],
)
def test_how_one_test_configures_the_logs_is_nothing_to_the_next(tmp_path: Path, configured: str) -> None:
    tests = (
        "import logging, structlog\n"
        "from structlog.testing import capture_logs\n"
        "from hatchway.transport.server_tls import log\n"
        f"def test_1():\n    {configured}\n    log.error('one')\n"
        "def test_2():\n    with capture_logs() as logs: log.error('two')\n    assert logs\n"
    )
    assert "\n2 passed in " in _run_pytest(tmp_path, {"it": tests}, ci="true")


def _run_pytest(directory: Path, tests: Mapping[str, str], ci: str) -> str:
    """What pytest says of these modules with this project's conftest."""
    shutil.copy(Path(__file__).with_name("conftest.py"), directory)
    for name, text in tests.items():
        (directory / f"test_{name}.py").write_text(text)
    options = ["-q", "-ra", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, directory],
        cwd=directory,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    ).stdout
