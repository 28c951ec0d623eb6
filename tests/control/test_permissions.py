"""The permissions and condition keys of each call, as observed: docs/api.md has them from the same file.

`HATCHWAY_WRITE_PERMISSIONS=1` has the test write the file anew; `make tables` then writes the page.
"""

import os
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from tests.control.harness import World
from tests.control.parameters import required_parameters
from tests.control.test_condition_keys import EVERYTHING, GRANTED_TO_ALL, PARAMETERS, call, session

from hatchway.access import authorization
from hatchway.control.catalogue import OPERATIONS
from hatchway.iam import Decision, PolicySet, Request, evaluate

__all__ = ["session"]

FILE = Path(__file__).with_name("permissions.toml")
HEAD = (
    "# What each call asks of policies, as test_permissions.py observes it: see there how to write it anew.\n"
)
OF_TAGS = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")

Asked = dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]]
"""By call and action: the kinds of resources, and the condition keys besides those of every request."""


def kind(resource: str) -> str:
    """What an ARN is one of: `subnet`, `user`; `*` of all."""
    found = re.fullmatch(r"arn:aws:[a-z0-9-]+:[^:]*:[^:]*:([a-z-]+)(?:/.*)?", resource)
    assert found is not None or resource == "*", resource
    return "*" if found is None else found[1]


def keys(request: Request) -> set[str]:
    """The condition keys that are the call's own, in lower case, without the names of tags."""
    own = {key for key in request.keys if not key.startswith("aws:") or key.startswith(OF_TAGS)}
    return {re.sub(r"(tag|attribute)/.*", r"\1/…", key) for key in own}


def observed(world: World, requests: list[Request]) -> Asked:
    """Each call made once, by somebody who may do everything."""
    who = world.user("admin", EVERYTHING, tags={"team": "blue"})
    world.user("alice", tags={"team": "red"})
    clients = {service: world.client(service, who) for service, _ in OPERATIONS}
    found: Asked = {}
    for service, operation in sorted(OPERATIONS):
        requests.clear()
        more = PARAMETERS.get((service, operation), {})
        call(clients[service], operation, {**required_parameters(service, operation), **more})
        kinds: defaultdict[str, set[str]] = defaultdict(set)
        named: defaultdict[str, set[str]] = defaultdict(set)
        for request in requests:
            kinds[request.action] |= {kind(resource) for resource in request.resources}
            named[request.action] |= keys(request)
        found[f"{service} {operation}"] = {
            action: (tuple(sorted(kinds[action])), tuple(sorted(named[action]))) for action in sorted(kinds)
        }
    return found


def written(asked: Asked) -> str:
    """As TOML, a line for each action."""
    lines = [HEAD]
    for name, actions in asked.items():
        lines.append(f'\n["{name}"]\n')
        for action, (kinds, named) in actions.items():
            lines.append(f'"{action}" = {{ on = {list(kinds)}, keys = {list(named)} }}\n'.replace("'", '"'))
    return "".join(lines)


def test_each_call_asks_for_what_the_documents_say(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Request] = []

    def noting(request: Request, policies: PolicySet) -> Decision:
        requests.append(request)
        return evaluate(request, policies)

    monkeypatch.setattr(authorization, "evaluate", noting)
    asked = observed(world, requests)
    if os.environ.get("HATCHWAY_WRITE_PERMISSIONS"):
        FILE.write_text(written(asked), encoding="utf-8")
    kept = tomllib.loads(FILE.read_text(encoding="utf-8"))
    assert {
        name: {action: (tuple(each["on"]), tuple(each["keys"])) for action, each in actions.items()}
        for name, actions in kept.items()
    } == asked
    assert {name for name, actions in asked.items() if not actions} == {
        f"{service} {operation}" for service, operation in GRANTED_TO_ALL
    }
