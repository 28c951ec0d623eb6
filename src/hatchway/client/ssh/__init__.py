"""OpenSSH through a tunnel, with a key made for the call.

What must hold here: what the user says to ssh is read as ssh itself reads it, and passed on as it stands.

| module | holds |
|---|---|
| `ssh` | one run of ssh: the host found, the key made and pushed, the tunnel ready |
| `openssh` | its programs, run: ssh in the foreground, ssh-keygen |
| `ssh_line` | what the user says to ssh, read as ssh reads it. Pure |
| `ssh_settings` | what ssh's own files say of the user and the port |
| `host_keys` | the keys by which hosts are known, for ssh to trust no others |
| `proxy_command` | the line by which ssh runs the tunnel. Pure |
| `standby` | its tunnel, by a process that is there before ssh asks for it |
| `ssh_config` | what OpenSSH's own configuration is told of hosts. Pure |
| `ssh_setup` | `~/.ssh` given that, and freed of it again |
"""
