"""Who is calling, and may they: where signatures, policies and the nouns meet.

    caller = authenticate(request, signature, directory=…, now=…, region=…, services={"ec2"})
    authorization = authorize(caller, checks, context)      # raises AccessDenied

**Authentication** goes from a signed request to a `Caller`: the principal and its policies, compiled. What it
looks access keys up in is a `Directory`: the control plane's opens secrets (`StoredDirectory`), a gateway's
holds signing keys only (`gateway.snapshot`). **Authorization** puts an operation's `Check`s (an action,
resources, condition keys) to the caller's policies; all must allow. Its answer carries the decisions, for the
audit trail.

| module | holds |
|---|---|
| `principal` | `Principal` and `Caller` |
| `authentication`, `presigned` | a signed request's caller; that of a presigned URL, for gateways |
| `callers` | what is known of keys that were used before, while nothing of theirs has changed |
| `identities`, `stored_policies` | an identity's policies, from whatever holds the account's rows |
| `parsed_policies` | policies that were parsed before, as many as there is room for |
| `authorization` | checks of a caller's permissions |
| `context` | the condition keys of a request |
| `own_actions` | the actions of Hatchway's own service: resources and condition keys |
| `open_tunnel` | the checks of `ec2-instance-connect:OpenTunnel` |
| `explanation` | why a tunnel was refused, in a line, for those who may know |
| `policy_documents` | is this text a policy, and within its quota |
| `granted_actions` | which actions the policies of an identity allow at all |
| `entities`, `simulation`, `simulation_cost` | hypothetical requests put to users, groups and roles |
| `failure_message` | the encoded authorization failure message |
| `sessions` | temporary credentials and their tokens |
| `signing_keys` | what is derived from those for gateways, and for whom |
| `granted_keys` | the same for whom a transaction newly allows tunnels, within it |
| `touched_keys` | the access keys of those whose permissions a change may have altered |

What must hold here:

- Both planes decide by this package alone; neither has a rule of its own that allows.
- Secrets are opened by `hatchway.keys` alone, and what a gateway looks keys up in holds none.
"""
