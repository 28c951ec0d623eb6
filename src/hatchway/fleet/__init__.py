"""The fleet file: text to declarations, declarations and an account to a plan, an account to text. Pure.

    fleet = parse_fleet(content, read_file)        # what the bytes declare; BadFleet tells every problem
    plan = make_plan(fleet, view, now=now)         # what it takes to make the account so
    for line in plan_lines(plan): print(line)      # plan_json is for programs, plan.writes for a store
    text = export_view(view)                       # the account as a fleet file

A fleet file says in YAML or JSON which networks, hosts, endpoints and identities there are (docs/fleet.md).
This package takes values and gives values: a file's bytes, and the account as an `AccountView` of rows from
`hatchway.domain`. It opens no file (`read_file` gives it the policies that a file names by a path), knows no
store and no clock. `hatchway.control.fleet` reads views from a store and writes plans to it.

What the file names is made or changed to match. What it does not name is left alone, or with `prune` taken
away. A thing that it names is as the file says in every key, those that it leaves out being what they are by
default; except for what others may hang on an identity, `groups`, `policies`, `inline` and
`permissions_boundary`, which stay as they are until the file has the key, or until a pruning. The account's
`quotas` and `guardrails` are like those.

| module | from | to |
|---|---|---|
| `text`, `lines` | bytes, YAML or JSON | plain values, and on which line each is |
| `parsing`, `network_sections`, `identity_sections`, `policy_documents` | plain values | `declarations` |
| `fields`, `values` | tables of keys, readers of single values | the same |
| `schema` | those tables | a JSON Schema, for editors |
| `check`, `lint` | a file by itself | what is wrong with it, and what its policies hardly mean |
| `resolution`, `network_resolution`, `identity_resolution` | declarations, the account | `draft` |
| `consistency` | the account to be | its contradictions |
| `plan`, `plan_text` | both accounts | what differs, to write and to read |
| `file_form`, `export` | the account | a fleet file |
| `problems`, `declarations`, `account_view`, `draft` | the values between these steps | |

Nothing is raised at the first problem: readers and resolvers add each one to a list (`problems`), with its
place in the file, and go on with what can still be understood, so that one run tells them all.
"""

from hatchway.fleet.account_view import AccountView
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.export import export_view
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.plan import Action, Change, FieldChange, Plan, make_plan
from hatchway.fleet.plan_text import plan_json, plan_lines
from hatchway.fleet.policy_documents import ReadFile
from hatchway.fleet.problems import BadFleet, Problem

__all__ = [
    "AccountView",
    "Action",
    "BadFleet",
    "Change",
    "FieldChange",
    "Fleet",
    "Plan",
    "Problem",
    "ReadFile",
    "export_view",
    "make_plan",
    "parse_fleet",
    "plan_json",
    "plan_lines",
]
