"""What holds for every test: CI counts a skip as a failure, and logs are each test's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "tests",
    [
        "import pytest\ndef test_it(): pytest.skip('nothing here')\n",
        "import pytest\n@pytest.fixture\ndef it(): pytest.skip('nothing here')\ndef test_it(it): ...\n",
        "import pytest\npytest.skip('nothing here', allow_module_level=True)\n",
    ],
    ids=["in the test", "in a fixture", "a whole module"],
)
@pytest.mark.parametrize("ci", ["true", ""])
def test_a_skip_fails_where_everything_must_run(tmp_path: Path, tests: str, ci: str) -> None:
    completed = _run_pytest(tmp_path, tests, ci)
    assert (completed.returncode != 0) == (ci == "true"), completed.stdout
    assert "nothing here" in completed.stdout


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    tests = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"
    completed = _run_pytest(tmp_path, tests, ci="true")
    assert completed.returncode == 0, completed.stdout


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
        "from hatchway.transport.tls import log\n"
        f"def test_1():\n    {configured}\n    log.error('one')\n"
        "def test_2():\n    with capture_logs() as logs: log.error('two')\n    assert logs\n"
    )
    completed = _run_pytest(tmp_path, tests, ci="true")
    assert completed.returncode == 0, completed.stdout


def _run_pytest(directory: Path, tests: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run `tests`, and one that passes, with this project's conftest."""
    shutil.copy(Path(__file__).with_name("conftest.py"), directory)
    (directory / "test_it.py").write_text(tests)
    (directory / "test_other.py").write_text("def test_other(): ...\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", directory],
        cwd=directory,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
