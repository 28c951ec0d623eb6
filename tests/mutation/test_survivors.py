"""The list of mutants that no test notices, and what fails against it."""

from pathlib import Path

import pytest
from mutation.survivors import Change, done, faults, read_known, shown
from scripts.own_tests import Project, find_modules

ROOT = Path(__file__).parents[2]
LIST = (ROOT / "mutation" / "survivors.toml").read_text()

NEW = Change("iam.trust.f", 'if a == "\\":', "if a != 'ü':\nelse:")
KNOWN = Change("iam.trust.g", "x", "")


def test_a_survivor_is_shown_as_the_list_has_it() -> None:
    assert read_known(shown(NEW).replace('reason = ""', 'reason = "why"')) == {NEW: "why"}
    with pytest.raises(KeyError):
        read_known(shown(NEW).replace('reason = ""', ""))


def test_a_survivor_needs_a_reason() -> None:
    assert faults([NEW, KNOWN, NEW], {KNOWN: "equal"}, ["iam.trust"]) == [shown(NEW)]
    assert faults([KNOWN], {KNOWN: " "}, ["iam.trust"]) == [shown(KNOWN)]


def test_an_entry_of_a_module_that_was_tried_must_be_a_survivor_still() -> None:
    (fault,) = faults([], {KNOWN: "equal"}, ["iam.trust"])
    assert fault.endswith(shown(KNOWN))
    assert faults([], {KNOWN: "equal"}, ["iam.tru", "iam.evaluator"]) == []


def test_the_modules_of_a_package_that_was_tried_are_none_of_its_own() -> None:
    within = Change("iam.lint.rules.f", "x", "")
    assert faults([], {within: "equal"}, ["iam.lint"], ["iam.lint.rules", "iam.trust"]) == []
    assert len(faults([], {within: "equal"}, ["iam.lint", "iam.lint.rules"], ["iam.trust"])) == 1
    assert len(faults([], {within._replace(function="iam.lint.f"): "equal"}, ["iam.lint"])) == 1


def test_the_list_gives_a_reason_for_each_and_names_modules_that_are_there() -> None:
    assert all(reason.strip() for reason in read_known(LIST).values())
    assert all((ROOT / "src" / "hatchway" / name).is_file() for name in done(LIST))
    modules = tuple(
        name.removesuffix("py").removesuffix("__init__.").replace("/", ".") for name in done(LIST)
    )
    assert all(known.function.startswith(modules) for known in read_known(LIST))


def test_the_list_names_each_module_of_what_decides_that_has_tests() -> None:
    packages = ("iam/", "sigv4/", "keys/", "access/")
    modules = [module for module in find_modules(Project.read(ROOT)) if module.name.startswith(packages)]
    assert done(LIST) == sorted(module.name for module in modules if module.tests)
