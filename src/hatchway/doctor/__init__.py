"""`hatchway doctor`: is everything in place for the server, its clients and its hosts, and what to do if not.

| module | holds |
|---|---|
| `findings` | what a check found: plain values |
| `machine` | the clock and the kernel's limits |
| `data_directory` | its files, the keys, the store, the disk |
| `postgresql` | a database server: what it keeps, and what makes it stand still |
| `addresses` | names, ports and certificates, as a client sees them |
| `trial_tunnel` | a server of its own on loopback, and bytes through a tunnel of it |
| `examination` | all of it for an installation |
| `registered_hosts` | hosts of which gateways do not know that they registered themselves |
| `client_examination` | what of it is for a machine with nothing but a profile |

Everything here looks and changes nothing: the account, its audit trail and the server are the same
afterwards. Each check gives `Finding`s; none fails for what it finds, and none waits longer than seconds.
"""
