"""The nouns of Hatchway, their ids, ARNs and invariants. Pure.

Every noun is a frozen dataclass; to change one, make another with `dataclasses.replace`. A noun refers to
others by id, never by reference, so each can be stored, sent and compared on its own.

| module | holds |
|---|---|
| `ids` | how ids look, how the fleet file derives them, how new ones are made |
| `arns` | Amazon Resource Names of everything that a policy can name |
| `network` | Vpc, Subnet, SecurityGroup, NetworkInterface, Instance |
| `reach` | may a packet leave the endpoint, and may it enter the instance |
| `endpoint` | Instance Connect Endpoint and its states |
| `endpoint_creation` | making and modifying one, with its interface and its addresses |
| `service_linked_role` | the role that the first endpoint brings with it |
| `identity` | User, Group, Role, policies, access keys |
| `tunnel` | a live tunnel, and the ways that one ends |
| `ssh_key` | a pushed SSH key, and what is kept of a host's token |
| `public_key` | reading a public key that somebody pushes, and the line that sshd gets for it |
| `host_token` | how a host's token looks, and the hash that is kept of it |
"""
