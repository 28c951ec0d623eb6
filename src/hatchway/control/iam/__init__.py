"""IAM's operations (AWS: "IAM API Reference").

| module | holds |
|---|---|
| `users` | users |
| `access_keys` | access keys of users and of the root user |
| `user_policies` | inline policies of users |
| `roles` | roles |
| `simulation` | the policy simulator |
| `targets` | whom a call is about, and what a check on it sees |
| `paging` | pages of List operations |
"""
