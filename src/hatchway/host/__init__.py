"""What runs on a target host: enrolment and authorized keys. Pure, standard library only.

A host that Hatchway looks after has three things: a *host token*, with which it proves which instance it is;
Hatchway's CA certificate; and an `AuthorizedKeysCommand`, which its own sshd runs for each public key that
someone offers. The command asks the control plane for the keys of this host, this user and this fingerprint,
and sshd goes on with its other ways in whatever the answer.

| module | holds |
|---|---|
| `tokens` | how a host token looks, and the hash that the control plane keeps of it |
| `authorized_keys` | reading a public key that somebody pushes, and the line that sshd gets for it |
| `command` | the AuthorizedKeysCommand: a POSIX shell program |
| `script` | the POSIX shell script that installs all of it on a host, and takes it away again |

On the wire it is one request, over HTTPS::

    GET /host/v1/authorized-keys?user=ec2-user&fingerprint=SHA256%3A… HTTP/1.1
    Authorization: Bearer <host token>

answered by 200 and `text/plain`: no line, or one for each key that is good at this moment.
"""

from hatchway.host.authorized_keys import (
    InvalidPublicKey,
    PublicKey,
    authorized_keys_line,
    parse_public_key,
)
from hatchway.host.script import host_script
from hatchway.host.tokens import (
    HostToken,
    InvalidHostToken,
    format_host_token,
    hash_host_token,
    host_token_matches,
    parse_host_token,
)

__all__ = [
    "HostToken",
    "InvalidHostToken",
    "InvalidPublicKey",
    "PublicKey",
    "authorized_keys_line",
    "format_host_token",
    "hash_host_token",
    "host_script",
    "host_token_matches",
    "parse_host_token",
    "parse_public_key",
]
