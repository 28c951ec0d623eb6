"""IAM's operations (AWS: "IAM API Reference").

| module | holds |
|---|---|
| `users` | users |
| `groups` | groups, and who is in them |
| `roles` | roles |
| `service_linked_roles` | the role of EC2 Instance Connect |
| `identities` | permissions boundaries; what renaming and deleting an identity takes |
| `trusted_names` | users and roles in trust policies, when they are renamed or deleted |
| `access_keys` | access keys of users and of the root user |
| `absent_credentials` | credentials that AWS has and nobody here |
| `inline_policies` | inline policies of users, groups and roles |
| `policies` | managed policies |
| `policy_versions` | their versions |
| `attachments` | managed policies attached to users, groups and roles |
| `tags` | tags of users, roles and managed policies |
| `last_accessed` | which services an identity or policy may use, and when they were |
| `credential_report` | every user's credentials as CSV |
| `account` | the summary and the alias of the account |
| `authorization_details` | all identities and policies with their relations |
| `simulation` | the policy simulator |
| `targets` | what a call is about, what a check on it sees; one function for several kinds of it |
| `results` | users, groups and roles as IAM gives them |
| `documents` | policy documents and descriptions on their way in |
| `quotas` | IAM's quotas, and the rule of its names |
| `paging` | pages of List operations |

What is alike for users, groups, roles and policies is one function with `targets.on_each`. A condition key is
on a check where AWS's service authorization reference has it (the tests compare).
"""
