"""A server's data directory and store: made, opened, kept from others, backed up and restored.

    with open_installation(DataDirectory(Path("/var/lib/hatchway")), store_url=None) as installation:
        with installation.store.read() as tx: …

| module | holds |
|---|---|
| `creation` | making one (`hatchway init`) |
| `installation` | opening it, its names and its certificate |
| `joined` | what a machine that joined keeps of itself |
| `secret_files` | the files as secrets: made for their owner alone, and kept so |
| `api_location` | where this machine's API is, noted down by the server for commands |
| `backup`, `backup_set` | `hatchway backup`, and what a backup consists of |
| `restore` | `hatchway restore` |
| `first_machine` | that there are not two |
| `atomic_directory` | filling a directory with all files or with none |

What must hold here:

- Whatever is interrupted, wherever: an installation or a backup is whole or it is not there. The store (or
  the list of a backup) comes into its place last.
- A secret file is made with its mode, never made open and closed afterwards, and no link is followed to it.
- Whatever cannot be done is a `CommandFailed` (`hatchway.errors`) that says what to do about it.
"""
