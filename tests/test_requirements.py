"""The requirements files that pip installs from: they agree with pyproject.toml, and every byte is fixed."""

import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts.lock import LOCKS, Lock, entries

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for place in (".", "bench", "fuzz", "mutation", "scripts")
    for path in (REPOSITORY / place).glob("requirements*.txt")
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PINNED = re.compile(
    r"[A-Za-z0-9._-]+==[^\s;]+( ; [^\\\n]+)?( \\\n {4}--hash=sha256:[0-9a-f]{64})+",
)


def declared(lock: Lock) -> list[Requirement]:
    """What pyproject.toml asks of the packages in a lock's file and in those below it."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    needed = [
        one
        for each in (lock, *lock.below)
        for group in each.groups
        for one in project["dependency-groups"][group]
    ]
    if lock.project:
        needed += project["project"]["dependencies"]
        needed += [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
        needed += project["build-system"]["requires"]
    return [Requirement(one) for one in needed]


def pins(lock: Lock, environment: dict[str, str]) -> dict[str, str]:
    """Package to version, by a lock's file and those below it, in an environment (PEP 508)."""
    found: dict[str, str] = {}
    for each in (lock, *lock.below):
        for entry in entries((REPOSITORY / each.path).read_text()):
            pin = Requirement(entry.partition(" \\\n")[0])
            if pin.marker is not None and not pin.marker.evaluate(environment):
                continue
            [version] = [one.version for one in pin.specifier]
            assert found.setdefault(canonicalize_name(pin.name), version) == version, pin.name
    return found


def on_linux(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def test_every_lock_is_a_file_and_every_file_a_lock() -> None:
    # Nothing resolves for Python 2.7 any more, so that one was written once.
    assert sorted([each.path for each in LOCKS] + ["scripts/requirements-autobahn.txt"]) == FILES


@pytest.mark.parametrize("path", FILES)
def test_every_pin_has_one_version_and_hashes_and_no_file_names_an_address(path: str) -> None:
    text = (REPOSITORY / path).read_text()
    assert "://" not in text
    assert all(re.fullmatch(r"-r \S+\.txt", line) for line in text.splitlines() if line.startswith("-"))
    written = entries(text)
    assert written
    assert [entry for entry in written if not PINNED.fullmatch(entry)] == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.path)
def test_pins_satisfy_what_pyproject_declares(lock: Lock, python: str) -> None:
    pinned = pins(lock, on_linux(python))
    unmet = [
        str(one)
        for one in declared(lock)
        if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]
    assert unmet == []


@pytest.mark.parametrize(
    "lock", [each for each in LOCKS if each.path.startswith("requirements")], ids=lambda lock: lock.path
)
def test_pins_are_all_that_is_needed_and_nothing_else(lock: Lock) -> None:
    pinned = pins(lock, {})
    reached: set[tuple[str, str]] = set()
    ahead = [(one, "") for one in declared(lock)]
    while ahead:
        needed, extra = ahead.pop()
        if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(needed.name)
        assert name in pinned, needed
        assert needed.specifier.contains(pinned[name], prereleases=True), needed
        for wanted in {"", *needed.extras}:
            if (name, wanted) not in reached:
                reached.add((name, wanted))
                ahead += [(Requirement(one), wanted) for one in distribution(name).requires or []]
    assert {name for name, _ in reached} == set(pinned)
    # Nothing would be known of what another version needs.
    assert {name: distribution(name).version for name in pinned} == pinned


def test_the_npm_packages_that_benchmarks_compare_with_have_hashes_and_no_addresses() -> None:
    text = (REPOSITORY / "bench/iam_simulate/package-lock.json").read_text()
    assert "://" not in text
    own, *others = json.loads(text)["packages"].values()
    assert (
        own["dependencies"]
        == json.loads((REPOSITORY / "bench/iam_simulate/package.json").read_text())["dependencies"]
    )
    assert others
    assert all(each["integrity"].startswith("sha512-") for each in others)
