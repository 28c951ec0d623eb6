"""Running a server: what `hatchway serve`, `control` and `gateway` do.

| module | holds |
|---|---|
| `serving` | from options to running planes: the installation made ready, ports taken, processes started |
| `gateway_options` | how gateways are to run; `serve` passes it on to each `gateway` as its command line |
| `renewal` | certificates and keys, renewed while a server runs |
| `ports` | whether a port can be had, before processes start |

`serve` runs a supervisor (`hatchway.supervision`) whose processes are `hatchway control` and `hatchway
gateway`; these run `control.process.run_control` and `gateway.run_gateway`. Only here do the two planes come
together.
"""
