"""`hatchway demo`: what Hatchway does, shown on one machine in under a minute, leaving nothing behind.

| module | holds |
|---|---|
| `scenario` | who tries what, and how it must end: plain values |
| `environment` | a server of its own with two hosts and three users, taken down whatever happens |
| `hosts` | a host's SSH server: OpenSSH's sshd run by the current user, or the one in `python_ssh` |
| `python_ssh` | an SSH server and client in Python, for machines without OpenSSH |
| `runner` | runs the steps of the scenario through the real API and real tunnels |
| `output` | what is printed |
| `run` | all of it, from beginning to end |

`run_demo` raises `CommandFailed` when a step did not end as the scenario expects, so that the demo is a test
of the whole program too (`tests/cli/test_demo.py`). It may import every package but `cli`.
"""
