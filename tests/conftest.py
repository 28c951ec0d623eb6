"""What holds for every test: nothing skips where everything must run, and slow machines are no failures."""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

# A loaded machine is slow, not wrong.
settings.register_profile("hatchway", deadline=None)
settings.load_profile("hatchway")

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true, a test that skips has failed: its reason is the failure."""
    return _fail_a_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """With CI=true, a module that skips as a whole has failed."""
    return _fail_a_skip((yield))


def _fail_a_skip(report: _Report) -> _Report:
    expected_failure = hasattr(report, "wasxfail")
    if os.environ.get("CI") == "true" and report.skipped and not expected_failure:
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"with CI=true nothing may skip. {reason}"
    return report
