"""The nouns of Hatchway, their ids, ARNs and invariants. Pure.

    >>> from hatchway.domain.arns import Arns
    >>> from hatchway.domain.ids import Kind, derived_id
    >>> Arns("123456789012", "us-east-1").user("alice")
    'arn:aws:iam::123456789012:user/alice'
    >>> derived_id(Kind.VPC, "123456789012", "lab") == derived_id(Kind.VPC, "123456789012", "lab")
    True

Every noun is a frozen dataclass; to change one, make another with `dataclasses.replace`. A noun refers to
others by id, never by reference, so each can be stored, sent and compared on its own.

| module | holds |
|---|---|
| `ids` | how ids look, how the fleet file derives them, how new ones are made |
| `arns` | Amazon Resource Names of everything that a policy can name |
| `account` | the account, its quotas, an audit record |
| `network` | Vpc, Subnet, SecurityGroup, NetworkInterface, Instance |
| `addresses` | IP addresses and CIDR ranges, and which can be targets |
| `security_groups` | may a connection leave the endpoint, and may it enter the instance |
| `endpoint` | Instance Connect Endpoint and its states |
| `gateway_names` | by what names clients find gateways |
| `endpoint_creation` | making and modifying one, for the API and the fleet file |
| `identity` | User, Group, Role, policies, access keys |
| `session` | temporary credentials |
| `service_linked_role` | the role that EC2 Instance Connect has in an account |
| `tunnel` | a live tunnel, and the worker that carries it |
| `leader` | which process does what only one is to do |
| `tunnel_protocol` | how long tunnels last, and how either side ends its own direction |
| `ssh_key` | a pushed SSH key, and the keys by which a host is known |
| `public_key` | reading a public key that somebody pushes, and the line that sshd gets for it |
| `bearer_token` | how a token looks that a host or machine holds, and the hash that is kept of it |
| `host_token`, `enrollment_token` | by which a host is known; by which hosts register themselves |
| `machine` | machines that join an installation, and the tokens by which they do |
| `text`, `counting` | which characters a text may hold; numbers of things, in English |
| `leaky_bucket` | what somebody has used lately of what everybody has a share of |

What must hold here: nothing is imported but the standard library and, for public keys, `cryptography`; no
clock and no randomness of its own, both come in as arguments. A field that is added here is a column of
`store.tables`, and a migration.
"""
