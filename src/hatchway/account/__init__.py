"""The account in the store, as the API and the commands on the server both change it.

    plan = apply_fleet(store, fleet, now=now, administrator=local_administrator)
    text = export_fleet(store)
    new_host_token(tx, instance_id, secrets.token_bytes(SECRET_SIZE), now=now, at_once=False)

What only the API does is in `hatchway.control`, what only a command does in `hatchway.administration`, and
neither imports the other.

| module | holds |
|---|---|
| `fleet` | fleet files on a store: the account read as a view, a plan written to it |
| `host_tokens` | host tokens made |

What must hold here:

- Whether by the API or by a command, a change and its record are one transaction.
- Who may do it has been decided by whoever calls: nothing here asks.
"""
