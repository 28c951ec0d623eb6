"""Amazon EC2's operations (AWS: "Amazon EC2 API Reference"): endpoints, and the network that they are in.

| module | holds |
|---|---|
| `endpoints` | Instance Connect Endpoints |
| `endpoint_checks` | the permissions that endpoints need |
| `instances`, `instance_status`, `instance_types` | hosts, described |
| `network`, `network_interfaces` | what else there is, described |
| `security_groups`, `security_group_rules` | likewise |
| `vpc_changes`, `subnet_changes` | VPCs and subnets made, changed and deleted |
| `security_group_changes`, `rule_changes` | security groups and their rules likewise |
| `rule_requests`, `cidrs` | rules and ranges as requests write them |
| `security_group_uses` | what keeps a security group from being deleted |
| `availability_zones` | the region, its zones, the account |
| `absent_networking` | what only AWS's networks have |
| `tagging` | tags given, taken away and listed |
| `resources` | the kinds of resources: ids, ARNs, condition keys, and the permission for an action on one |
| `listing` | what every Describe operation does: ids, filters, pages |
| `small_listing` | the same for the few things that are no rows of the store |
| `filters`, `paging` | its two halves |
| `documented_filters` | the filters that EC2's reference has |
| `sql_filters`, `wildcards`, `work_budget` | what the store tells of filters; the rest, within bounds |
| `resource_ids`, `tags`, `client_tokens`, `zones` | parameters and results that several operations share |
| `places` | the zones of subnets and the names of security groups, for these results |
"""
