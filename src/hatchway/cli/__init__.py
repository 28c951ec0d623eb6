"""The commands: parse, call, print.

| module | holds |
|---|---|
| `start`, `short_lines` | where it begins; ssh and open-tunnel in their usual form, which need no `main` |
| `main`, `ending` | the program: its commands, its exit codes, its last word on an error |
| `completion` | what shells are told of it, to complete words |
| `init_command` | init |
| `server_commands`, `api_options`, `gateway_options` | serve, control, gateway |
| `account_commands` | apply, export, enroll, aws-model |
| `instance_commands`, `named_ids` | hosts registered by the API, or by tokens themselves; ids of names |
| `fleet_commands`, `import_commands` | fleet files, anywhere: checked, and made of other inventories |
| `access_key_commands`, `access_key_output` | keys of users: asked of the API or the store, and printed |
| `master_key_commands` | the keys that seal their secrets, and what gateways verify with |
| `backup_commands`, `store_commands` | backup, restore; all of the store in another database |
| `certificate_commands` | the private CA, and who trusts it |
| `migrate_command` | the store brought to the tables of this version |
| `join_commands`, `join_token_commands` | a machine joins, as control plane or gateway; by which tokens |
| `machine_commands` | the machines that joined |
| `client_commands`, `connecting` | ssh, open-tunnel, and what else reaches a host |
| `host_commands`, `tunnel_commands` | hosts, tunnels: by the API |
| `event_commands` | events: the audit trail, by the API |
| `policy_commands`, `policy_tree` | simulate, explain, lint, policy test; a decision printed as a tree |
| `demo_command`, `doctor_command` | demo, doctor |
| `options`, `client_options`, `option_groups` | options that several commands share |
| `help_texts`, `table`, `plan_output`, `progress` | how help, tables and plans look; what takes its time |
| `printable` | text in which a terminal finds no orders |

A command reads its options, calls one function of a package below, and prints what that returned; errors pass
through it to `main`, which makes each one line and an exit code (a client's in `ending`, a server's in
`hatchway.failures`). What it calls is imported when it runs, not with its module, so that `hatchway` starts
fast (`tests/cli/test_main.py` and `test_start.py` hold that). Nobody imports `cli`.
"""
