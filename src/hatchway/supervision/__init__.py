"""The processes of a server: their supervisor, and how a restart hands over what listens.

`hatchway serve` is a supervisor; the API and each gateway worker are processes of their own that it starts,
restarts when one dies, and stops in turn. Under systemd a restart closes no listening socket and ends no
tunnel.

| module | holds |
|---|---|
| `supervisor` | the parent: starts, watches, stops |
| `supervised` | the child's side: the socket that it listens on, and what its supervisor tells it |
| `handover` | what one supervisor leaves to the next: listening sockets, control sockets |
| `processes` | those of a demo or a trial, which end with what started them |
| `service_manager` | systemd's protocol (sd_notify(3), file descriptor store) |

What must hold here: processes of two versions meet in a restart, so the names of what the service manager
keeps, and the bytes on a control socket, do not change. `control` and `gateway` import `supervised` alone.
"""
