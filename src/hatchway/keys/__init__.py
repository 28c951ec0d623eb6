"""Key custody: the keys that no database holds, and what is kept sealed under them.

    master = Vault(*read_master_keys(path, os.environ).all)
    made = create_access_key(tx, master, user_name="alice", now=now, random_bytes=os.urandom)
    secret_of(tx, master, made.key.id)          # the same secret again; None where there is none

The **master key** seals the secrets of access keys, join tokens and machines, which lie in the store; control
planes alone have it. The **gateway key** seals what `hatchway.access.signing_keys` derives from them for
gateways, which have it too. Neither knows whose key it is or what he may: that is `access`, above it.

| module | holds |
|---|---|
| `key_files` | the files and variables in which the keys are, and what to do when one is not right |
| `vault` | sealing under a key, and under another while that takes its place |
| `access_keys` | access keys and their secrets, the check of the master key, and sealing all anew |
| `machines` | what a token of a machine gives, and what only that machine can open |

What must hold here:

- A secret is opened only here, and only with the master key, which no gateway has.
- What is sealed names its place (its context): moved to another one, it does not open.
- No message, `repr` or name shows a key or a secret, nor any part of one.
"""
