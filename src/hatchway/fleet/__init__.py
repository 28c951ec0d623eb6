"""The fleet file: text to declarations, declarations and an account to a plan, an account to text. Pure.

    fleet = parse_fleet(content, read_file)        # what the bytes declare; BadFleet tells every problem
    plan = make_plan(fleet, view, now=now)         # what it takes to make the account so
    for line in plan_lines(plan): print(line)      # plan_json is for programs, plan.writes for a store
    text = export_view(view)                       # the account as a fleet file
    found = check_file(content, read_file)         # all that can be told of a file without the account
    fleet_schema()                                 # the JSON Schema of fleet files, for editors

A fleet file says in YAML or JSON which networks, hosts, endpoints and identities there are (docs/fleet.md).
This package takes values and gives values: a file's bytes, and the account as an `AccountView` of rows from
`hatchway.domain`. It opens no file (`read_file` gives it the policies that a file names by a path), knows no
store and no clock. `hatchway.account.fleet` reads views from a store and writes plans to it.

What the file names is created or changed to match. What it does not name is left alone, or deleted with
`prune`. A thing that the file names is as the file says in every key, and a key that is left out has its
default; except for what others may attach to an identity, `groups`, `policies`, `inline` and
`permissions_boundary`, which stay as they are until the file has the key, or until a pruning. The account's
`account_alias`, `quotas`, `end_tunnels_with_credentials` and `guardrails` are like those. Its
`gateway_dns_name` stays in a pruning too, and is not exported: a file is good for another server of the
account, which has its own name.

| module | from | to |
|---|---|---|
| `text` | bytes, YAML or JSON | plain values |
| `fields`, `values`, `policy_documents` | a plain value | what it means, and its JSON Schema |
| `parsing`, `network_sections`, `identity_sections` | plain values, by tables of keys | `declarations` |
| `resolution`, `network_resolution`, `identity_resolution` | these, the view | `draft` |
| `rule_resolution`, `endpoint_resolution` | of the network, rules and endpoints | that, further |
| `directory` | a name or an id in the file | what the account has by it, or will have |
| `consistency` | the account to be | its contradictions |
| `plan`, `plan_text` | both accounts | the difference, to write and to read |
| `file_form`, `export` | the account | a fleet file |
| `inlining` | a file that names policies by paths | one that holds them |
| `lint`, `lines`, `check` | a file by itself | what lint finds, on which line, and all of it |
| `importers` | what else lists hosts | a fleet file |
| `schema` | the tables of keys | the JSON Schema |
| `declarations`, `account_view`, `draft`, `problems` | | the values between these steps |

Each mapping of the file is described once, by a `fields.Table` of its keys: it is read by the table, and the
schema is made of it. A new key is an entry in a table, a field of the declaration and its use.

Nothing is raised at the first problem: readers and resolvers add each one to a list (`problems`), with its
place in the file, and go on with what can still be understood, so that one run tells them all.
"""

from hatchway.fleet.account_view import AccountView
from hatchway.fleet.check import CheckedFile, check_file
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.export import export_view
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.plan import Action, Change, FieldChange, Plan, make_plan
from hatchway.fleet.plan_text import plan_json, plan_lines
from hatchway.fleet.policy_documents import ReadFile
from hatchway.fleet.problems import BadFleet, Problem
from hatchway.fleet.schema import fleet_schema

__all__ = [
    "AccountView",
    "Action",
    "BadFleet",
    "Change",
    "CheckedFile",
    "FieldChange",
    "Fleet",
    "Plan",
    "Problem",
    "ReadFile",
    "check_file",
    "export_view",
    "fleet_schema",
    "make_plan",
    "parse_fleet",
    "plan_json",
    "plan_lines",
]
