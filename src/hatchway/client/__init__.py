"""What runs on a user's machine: credentials, discovery, tunnel, ssh.

A command says what the user wants in `ProfileOptions` and `TunnelOptions` (or `SshOptions`), which hold what
stands on the command line and nothing more. `plan_tunnel` fills in the rest, asking the control plane only
for what is open; the plan opens any number of tunnels:

    profile = Profile(ProfileOptions(profile="lab"))
    plan = plan_tunnel(profile, TunnelOptions(host="web-1"))
    relay_standard_streams(plan, profile.trusted)     # or: event_loop.run(listen(plan, local_port, print))

| module | holds |
|---|---|
| `profile` | credentials, region, endpoint URL and CA bundle, found as every AWS tool finds them |
| `shared_files` | what of that stands in so many words in the environment and the shared files |
| `botocore_session` | all else, found by botocore; clients of whole services |
| `api_client` | the few questions of a tunnel, asked without botocore |
| `http_connection`, `http_answer` | the connection on which they are asked, and what comes back |
| `tls` | whom we trust, and connections to them |
| `connection`, `proxied` | a connection to a name or an address, through a proxy where there is one |
| `proxied_calls` | calls of botocore through such a proxy |
| `ec2_protocol` | their words. Pure |
| `hosts` | the hosts that a caller may see, and which one is meant by name, address or id |
| `ids` | the id that is meant by its beginning |
| `host_list` | the same with the endpoint that leads to each |
| `discovery` | endpoint and gateway port, asked of the control plane; pushing a key |
| `clock` | the time to sign at, the server's where this machine's is wrong |
| `request` | the parameters of one tunnel and the presigned URL that asks for it. Pure |
| `cache` | a cache on the disk of what was found a moment ago |
| `plan` | what opening a tunnel takes. Pure |
| `retry` | waiting for a server that is just restarting |
| `attempts` | which endpoint is asked next, where one refuses; what a refusal means |
| `opening` | asking a gateway for a tunnel, for `stream_relay` |
| `frames` | the frames of a WebSocket |
| `stream_relay` | one tunnel on standard streams, which are there at once: no event loop |
| `event_loop` | the event loop of local ports |
| `tunnel` | opening any number of tunnels in it, and carrying them |
| `relay` | the bytes of each of these, both ways, to the very last |
| `core_opening`, `core_relay` | opening and carrying one by the compiled core |
| `picows_opening`, `picows_relay` | the same by picows |
| `relay_limits` | what bounds both |
| `local` | the near end: standard streams or a connection |
| `signals` | ending a tunnel in order when told to |
| `listener` | a local port, one tunnel for each connection |
| `forward` | a host's port as a local one |
| `rdp` | Remote Desktop through one, with a file that leads there |
| `ssh` | OpenSSH with a key made for the call |
| `openssh` | its programs, run: ssh in the foreground, ssh-keygen |
| `temporary_directory` | directories for what one command needs, gone with it or with a later one |
| `standby` | its tunnel, by a process that is there before ssh asks for it |
| `host_keys` | the keys by which hosts are known, for ssh to trust no others |
| `proxy_command` | the line by which ssh runs the tunnel. Pure |
| `ssh_config` | what OpenSSH's own configuration is told of hosts. Pure |
| `atomic_file` | a user's file written atomically: whole or not at all |
| `ssh_setup` | `~/.ssh` given that, and freed of it again |
| `ssh_line` | what the user says to ssh, read as ssh reads it. Pure |
| `ssh_settings` | what ssh's own files say of the user and the port |
| `tunnels`, `denials` | the service `hatchway`: open tunnels listed and ended; why a caller was denied |
| `events` | the audit trail, looked up and followed |
| `os_user` | which names of OS users SendSSHPublicKey takes |
| `proxy` | the HTTP proxy to go through |
| `setup` | what a user's machine is given: profile, CA, bundle |
| `errors` | every way to fail, each a type with fields and an exit code |

What must hold here: while standard output carries a tunnel, nothing else goes there; a tunnel that ends says
why in one line, with an exit code as the AWS CLI's; a message from a server is printed with its control
characters spelled out (`errors.printable`). What the AWS CLI does with the same options, profile and
environment, this does too.

Nothing is imported here, so that a command loads no more than it uses: it runs once for each ssh.
"""
