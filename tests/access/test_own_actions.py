"""The table of our own service's actions beside what there is."""

from hatchway.access.own_actions import CONDITION_KEYS, OWN_ACTIONS, RESOURCE_TYPES
from hatchway.control.catalogue import OFFERED


def test_each_operation_of_our_own_has_its_action() -> None:
    assert {action.name for action in OWN_ACTIONS} == OFFERED["hatchway"]


def test_an_action_is_about_kinds_and_has_keys_that_are_known() -> None:
    for action in OWN_ACTIONS:
        assert action.about.endswith(".")
        assert set(action.resource_types) <= set(RESOURCE_TYPES)
        own = {key for key in action.condition_keys if key.startswith("hatchway:")}
        assert own <= set(CONDITION_KEYS)
