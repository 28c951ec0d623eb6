"""Operations of our own service, `hatchway`. Its model is `protocol/models/hatchway`, in botocore's form.

| module | holds |
|---|---|
| `hosts` | hosts that are registered, changed and taken out |
| `registration` | what a registration comes to, checked as a fleet file's instance is |
| `enrollment` | host tokens, and the tokens by which hosts register themselves |
| `host_public_keys` | the keys by which hosts are known |
| `fleet_files` | the account as a fleet file: planned, applied, exported |
| `tunnels` | the tunnels that gateways carry |
| `denials` | why a caller was refused |
| `paging` | the tokens of pages |
| `turns` | work that one call at a time does |

What each call needs is in `hatchway.access.own_actions`, from which documentation, lint and simulation are.
"""
