"""Amazon EC2's operations (AWS: "Amazon EC2 API Reference"): endpoints, and the network as it is described.

| module | holds |
|---|---|
| `endpoints` | Instance Connect Endpoints |
| `endpoint_checks` | the permissions that endpoints need |
| `instances`, `network`, `network_interfaces`, `security_groups` | what else there is, described |
| `tagging` | tags given, taken away and listed |
| `resources` | the kinds of resources: ids, ARNs, condition keys, and the permission for an action on one |
| `listing` | what every Describe operation does: ids, filters, pages |
| `filters`, `paging` | its two halves |
| `conditions`, `wildcards`, `work_budget` | what the store tells of filters; the rest, within bounds |
| `resource_ids`, `tags`, `client_tokens`, `zones` | parameters and results that several operations share |
"""
