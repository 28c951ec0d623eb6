"""The fleet file: what it declares, how the account differs from it, making the account be so, and back.

    fleet = parse_fleet(content, read_file)                     # BadFleet tells every problem, with its place
    plan = plan_fleet(store, fleet, now=now)                    # what would happen
    plan = apply_fleet(store, fleet, now=now, administrator=…)  # what happened: all of it, or nothing
    text = export_fleet(store)                                  # the account as a fleet file

What the file names is made or changed to match. What it does not name is left alone, or with `prune` taken
away. A thing that it names is as the file says in every key, those that it leaves out being what they are by
default; except for what others may hang on an identity, `groups`, `policies`, `inline` and
`permissions_boundary`, which stay as they are until the file has the key, or until a pruning. The account's
`quotas` and `guardrails` are like those.

| module | from | to |
|---|---|---|
| `text` | bytes, YAML or JSON | plain values |
| `document`, `network_sections`, `identity_sections` | plain values | `declarations` |
| `resolution`, `network_…`, `identity_resolution` | declarations, the account | `draft`: the one to be |
| `consistency` | the account to be | its contradictions |
| `plan`, `plan_text` | both accounts | what differs, to write and to read |
| `apply` | a plan | the store |
| `file_form`, `export` | the account | a fleet file |
"""

from hatchway.audit.local import LocalAdministrator
from hatchway.control.fleet.apply import apply_fleet, every_problem, export_fleet, plan_fleet
from hatchway.control.fleet.declarations import Fleet
from hatchway.control.fleet.document import parse_fleet
from hatchway.control.fleet.plan import Action, Change, FieldChange, Plan
from hatchway.control.fleet.plan_text import plan_json, plan_lines
from hatchway.control.fleet.problems import BadFleet, Problem

__all__ = [
    "Action",
    "BadFleet",
    "Change",
    "FieldChange",
    "Fleet",
    "LocalAdministrator",
    "Plan",
    "Problem",
    "apply_fleet",
    "every_problem",
    "export_fleet",
    "parse_fleet",
    "plan_fleet",
    "plan_json",
    "plan_lines",
]
