"""Running a server: what `hatchway serve`, `control` and `gateway` do.

| module | holds |
|---|---|
| `serving` | from options to running planes: the installation made ready, ports taken, processes started |
| `options` | what the command line says |
| `gateway_options` | how gateways are to run; `serve` passes it on to each `gateway` as its command line |
| `programs` | the command lines of the processes that `serve` starts |
| `certificates` | whether a certificate is fit to be shown, and the server's own renewed when it is due |
| `renewal` | certificates and keys, looked after while a server runs |
| `gateway_names` | the names that gateways have been given, asked of the store as the server's user |
| `api_note` | where the API is, noted for commands by one control plane of a data directory at a time |
| `ports` | whether a port can be had, before processes start |

`serve` runs a supervisor (`hatchway.supervision`) whose processes are `hatchway control` and `hatchway
gateway`; these run `control.process.run_control` and `gateway.run_gateway`. Only here do the two planes come
together.
"""
