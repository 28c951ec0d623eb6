"""Files that are refused, each with all of its problems; nothing in them gets past."""

from typing import Any

import pytest
import yaml
from tests.fleet.accounts import EMPTY, HERE, NOW, account_of, fleet

from hatchway.fleet import BadFleet
from hatchway.fleet.plan import make_plan

CASES = yaml.safe_load((HERE / "refused.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_bad_file_is_refused_with_every_problem_and_its_place(case: dict[str, Any]) -> None:
    view = account_of(case["before"]) if "before" in case else EMPTY
    with pytest.raises(BadFleet) as refusal:
        make_plan(fleet(case["file"]), view, now=NOW, prune=case.get("prune", False))
    assert str(refusal.value).splitlines() == case["problems"]
