"""`hatchway demo`: the whole story on one machine, in under a minute, leaving nothing behind.

| module | holds |
|---|---|
| `story` | what happens and how it must end: plain values |
| `stage` | a server of its own with two hosts and three users, taken down whatever happens |
| `hosts` | a host's SSH server: OpenSSH's sshd run by the current user, or a stand-in |
| `stand_in` | an SSH server and client in Python, for machines without OpenSSH |
| `performance` | acts the story out through the real API and real tunnels |
| `screen` | what the spectator sees |
| `run` | all of it, from beginning to end |
"""
