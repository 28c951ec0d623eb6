"""A machine that joins an installation: made by a join token, and kept up by what the API gives it.

    result = join(DataDirectory(Path("/var/lib/hatchway")), "hwj_…", ["https://hatchway.example:8443"])
    renew(directory, result.machine, now)     # from then on, every minute: what has become another

It asks over HTTPS, as a client of the API's `/machine/v1` (`hatchway.control.machines`), and gets keys that
are sealed for it alone. The data directory that it leaves is opened like any other (`hatchway.installation`,
which also reads what a machine keeps of itself: `installation.joined`).

| module | holds |
|---|---|
| `joining` | a machine's data directory, made by a join token (`hatchway join`) |
| `join_tokens` | that token as text |
| `following` | what it has, kept up: certificates, keys, CAs |
| `calls` | what a machine asks by its own token, and the answers |
| `api` | asking the API, within bounds, and whom to trust |

What must hold here:

- A token is shown to nobody who has not proved to be of the CA that it names, or else of one that the system
  trusts; a machine's private key never leaves it.
- Whatever is interrupted goes on as the same machine by the same command; a token's use is not lost by it.
- What the API answers is read as a stranger's: bounded, each part of its kind, and put in place as a whole.
- Whatever cannot be done is a `CommandFailed` (`hatchway.errors`) that says what to do about it.
"""
