"""Who is calling, and may they: where signatures, policies and the nouns meet.

    caller = authenticate(request, signature, directory=…, now=…, region=…, services={"ec2"})
    authorization = authorize(caller, checks, context)      # raises AccessDenied

| module | holds |
|---|---|
| `vault` | the master key: what it seals, only a control plane opens |
| `access_keys` | new access keys, and the signing keys derived from them for gateways |
| `principal` | Principal and Caller |
| `identities` | an identity's policies, from whatever holds the account's rows |
| `authentication` | a signed request's caller |
| `authorization` | checks of a caller's permissions |
| `context` | the condition keys of a request |
| `open_tunnel` | the checks of `ec2-instance-connect:OpenTunnel` |
| `entities` | users, groups and roles with all their policies |
| `simulation` | hypothetical requests put to them |
| `failure_message` | the encoded authorization failure message |
"""
