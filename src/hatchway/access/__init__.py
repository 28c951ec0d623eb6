"""Who is calling, and may they: where signatures, policies and the nouns meet.

    caller = authenticate(request, signature, directory=…, now=…, region=…, services={"ec2"})
    authorization = authorize(caller, checks, context)      # raises AccessDenied

| module | holds |
|---|---|
| `key_files` | the master key and the gateway key, which no database holds |
| `vault` | sealing under one of them |
| `access_keys` | access keys and their secrets, which only a control plane opens |
| `signing_keys` | what is derived from those for gateways, and for whom |
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
