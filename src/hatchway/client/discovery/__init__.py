"""From what the user named to what opening a tunnel takes: which host, by which endpoint and gateway.

| module | holds |
|---|---|
| `discovery` | the endpoint and the gateway's port, asked of the control plane; pushing a key |
| `hosts` | the hosts that a caller may see, and which one is meant by name, address or id |
| `host_list` | the same with the endpoint that leads to each |
| `os_user` | which names of OS users SendSSHPublicKey takes |
| `cache` | a cache on the disk of what was found a moment ago |
| `request` | the parameters of one tunnel and the presigned URL that asks for it. Pure |
| `plan` | what opening a tunnel takes. Pure |
"""
