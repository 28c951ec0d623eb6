"""What runs on a user's machine: credentials, discovery, tunnel, ssh.

A command says what the user wants in `ProfileOptions` and `TunnelOptions` (or `SshOptions`), which hold what
stands on the command line and nothing more. `plan_tunnel` fills in the rest, asking the control plane only
for what is open; the plan opens any number of tunnels:

    profile = Profile(ProfileOptions(profile="lab"))
    plan = plan_tunnel(profile, TunnelOptions(host="web-1"))
    relay_standard_streams(plan, profile.trusted)     # or: event_loop.run(listen(plan, local_port, print))

| part | holds |
|---|---|
| `connection` | connections to servers: proxies, TLS, and how long to wait for one that restarts |
| `api` | calls of the API: the caller's profile, the client, the service `hatchway` |
| `discovery` | from what the user named to a plan of a tunnel: host, endpoint, gateway |
| `tunnel` | opening a tunnel, and carrying its bytes: on standard streams, or on a local port |
| `ssh` | OpenSSH through a tunnel, with a key made for the call |
| `rdp` | Remote Desktop through one, with a file that leads there |
| `setup` | what a user's machine is given: profile, CA, bundle |
| `atomic_file` | a user's file written atomically: whole or not at all |
| `temporary_directory` | directories for what one command needs, gone with it or with a later one |
| `errors` | every way to fail, each a type with fields and an exit code |

What must hold here: while standard output carries a tunnel, nothing else goes there; a tunnel that ends says
why in one line, with an exit code as the AWS CLI's; a message from a server is printed with its control
characters spelled out (`errors.printable`). What the AWS CLI does with the same options, profile and
environment, this does too.

Nothing is imported here, nor by the packages below, so that a command loads no more than it uses: it runs
once for each ssh.
"""
