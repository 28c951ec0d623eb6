"""The decision whether a tunnel may be opened: by the caller, the request, the policies and the network.

Invariants: a decision waits for nothing, neither the store nor DNS, and changes nothing. It is a value: the
answer for the client together with the event for the audit trail. What cannot be decided is not allowed. A
principal whose decisions take more than its share of a worker's time has to wait.

| module | holds |
|---|---|
| `request` | the parameters of a request to open a tunnel. Pure |
| `admission` | the decision on a request, and the repeated decision on an open tunnel |
| `decision` | the results of a decision, as values. Pure |
| `decision_cache` | a cache of decisions by caller and target |
| `decision_time`, `deferral` | how long decisions for each principal take; requests that wait for it |
| `network` | whether the security groups of the endpoint and the instance allow the connection |
| `served` | which endpoints this gateway serves |
| `off_limits`, `resolver` | addresses that no tunnel may reach; hosts' addresses, resolved in a thread |
| `preserve_client_ip` | whether the target can be connected from the client's address. Pure |
| `refusal` | every refusal and every word of it that a client reads. Pure |
"""
