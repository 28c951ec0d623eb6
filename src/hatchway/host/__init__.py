"""What runs on a target host: the command that asks for authorized keys. Pure, standard library only.

A host that Hatchway looks after has three things: a *host token*, with which it proves which instance it is;
Hatchway's CA certificate; and an `AuthorizedKeysCommand`, which its own sshd runs for each public key that
someone offers. The command asks the control plane for the keys of this host, this user and this fingerprint,
and sshd goes on with its other ways in whatever the answer.

| part | holds |
|---|---|
| `script` | the POSIX shell script that installs all of it on a host, and takes it away again |
| `install.sh` | what it consists of: setting up, taking away |
| `enroll.sh` | a host that registers itself |
| `sshd.sh`, `chain.sh` | sshd's configuration, as it runs; another `AuthorizedKeysCommand` in it |
| `unit.sh` | one that the service's unit gives sshd by `-o` |
| `watch.sh` | has changed keys reported again |
| `proof.sh`, `report-host-keys.sh` | a login that proves it; the keys by which the host is known |
| `authorized-keys.sh`, `every-authorized-keys.sh` | the command itself; it and the other that sshd had |

What sshd's command asks is one request, over HTTPS:

    GET /host/v1/authorized-keys?user=ec2-user&fingerprint=SHA256%3A… HTTP/1.1
    Authorization: Bearer <host token>

answered by 200 and `text/plain`: no line, or one for each key that is good at this moment.

What must hold here: a host that cannot reach Hatchway, or gets nonsense from it, lets in whom its other ways
let in, and nobody else; and a script that is interrupted leaves sshd as it was or as it is to be
(`tests/host/test_places.py` ends it at each step). The scripts run in dash and in bash.
"""

from hatchway.host.script import STANDARD_LAYOUT, HostLayout, enrollment_script, host_script

__all__ = ["STANDARD_LAYOUT", "HostLayout", "enrollment_script", "host_script"]
