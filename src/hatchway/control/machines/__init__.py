"""Machines that join, and what they come back for: `POST /machine/v1/join`, `POST /machine/v1/renew`.

    Authorization: Bearer hwj_jt-0123456789abcdef0_…
    {"name": "cp2", "names": ["10.0.0.22"], "required": [], "public_key": "…", "key_ids": [], "request": "…"}

    200 {"machine_id": "m-…", "token": "hwm_m-…", "role": "control", "vpcs": [], "endpoints": [], "ca": "…",
         "names": […], "beyond": […], "certificate": "…", "keys": "…"}

A joined machine renews by its own token, once a minute: it says which keys it has (`key_ids`) and which CAs
it trusts (`authorities`), and gets other keys only where these are no longer the ones to have. `keys` is
sealed for the machine that joined (`keys.machines`): a gateway's never has the master key, nobody's the
CA's. `request` is a request for a certificate (PEM), and `certificate` the answer to the last one: null until
a control plane that has the CA's key has seen it.
`current` is false of a control plane that has not followed the last change of keys: another can give them.

| module | holds |
|---|---|
| `requests` | what a machine sends, read within bounds, and whether its token is good |
| `grants` | what a machine is given: keys sealed for it, the names of its certificate |
| `certificates` | certificates, by whoever has the CA's key |
| `joining` | a machine that joins, or goes on where its joining was interrupted |
| `unfinished` | those that never came back, taken away |
| `renewal` | a machine that has joined, and what it is to have now |
| `trail` | all that as events |

A machine's id follows from its token and its key: who joins again by the same two is the same machine. It
may, for as long as the token lasts, until it has once come back by the token of its own that joining gave it.
"""
