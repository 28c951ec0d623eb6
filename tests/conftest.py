"""What holds for every test: none skips where all must run, slow is no failure, and its logs are its own."""

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import pytest
import structlog
from hypothesis import settings
from tests.programs import NOT_FETCHED

# A loaded machine is slow, not wrong. Each run tries other examples; `make properties` tries many.
settings.register_profile(
    "hatchway", deadline=None, max_examples=int(os.environ.get("HATCHWAY_EXAMPLES", "30"))
)
settings.load_profile("hatchway")

# Without bytecode each of the hundreds of processes that tests start would compile all of Hatchway.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Under nohup, or as a shell's job in the background, all that tests start would ignore these: the AWS CLI
# would never end, as ssh ends it by SIGHUP, nor would what is told to stop by SIGINT.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LONG = ("documents", "e2e", "attack", "cli", "gateway", "host", "control", "installation", "deploy")
"""Directories whose modules take long, the longest first."""

_SHORT = ("iam", "pki", "protocol", "sigv4", "fleet", "domain")
"""Those whose modules are over in a few seconds each, so that all processes end at about the same time."""

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What a test makes of the logs of its process, in which order whatever tests run, ends with it."""
    configured, before = structlog.is_configured(), structlog.get_config()
    yield
    if configured:
        structlog.configure(**before)
    else:
        structlog.reset_defaults()
    # A logger that was used meanwhile may have kept what it was then.
    for attributes in _attributes_of_loggers(len(sys.modules), next(reversed(sys.modules))):
        attributes.pop("bind", None)


@lru_cache(maxsize=1)
def _attributes_of_loggers(_modules: int, _last: str) -> list[dict[str, object]]:
    """Of all modules, of which there are so many, and this is the last.

    To go through them takes most of a millisecond, and there are 12,000 tests.
    """
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("hatchway.")]
    loggers = (getattr(getattr(module, "log", None), "__dict__", None) for module in ours)
    return [attributes for attributes in loggers if attributes is not None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has long modules run first and short ones last: no process is left with one when others are done."""
    ranks = {name: rank for rank, name in enumerate((*_LONG, None, *_SHORT))}
    here = Path(__file__).parent
    items.sort(key=lambda item: ranks.get(item.path.relative_to(here).parts[0], ranks[None]))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keeps the garbage collector from going through all that is collected and imported again and again.

    It would take a fifth of what collecting does, and afterwards a quarter of a second of a processor each
    time; and it all stays until the end anyhow.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    """Ends the PostgreSQL server that tests of this process had, if any."""
    if (migrated := sys.modules.get("tests.store.migrated")) is not None:
        migrated.end_servers()


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
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if NOT_FETCHED in str(reason):
            return report
        report.outcome = "failed"
        report.longrepr = f"with CI=true nothing may skip. {reason}"
    return report
