"""The AWS Security Token Service (AWS: "AWS STS API Reference").

| module | holds |
|---|---|
| `identity` | who is calling: GetCallerIdentity, GetAccessKeyInfo |
| `assume_role` | AssumeRole |
| `session_token` | GetSessionToken |
| `session_policies`, `session_tags` | what a role's session is given besides its name, checked |
| `issuing` | making temporary credentials, whichever operation gives them out |
| `limits` | what temporary credentials may not call |
| `decode` | encoded authorization failure messages, decoded |

Signing in with an identity provider (AssumeRoleWithWebIdentity) is one more module beside `assume_role`: it
finds out who comes by a token, and shares the rest.
"""
