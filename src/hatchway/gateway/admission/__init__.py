"""May this tunnel be opened: who is calling, what is asked for, what policies and network say.

What must hold here: a decision waits for nothing, neither store nor DNS, and changes nothing. It is a value:
the answer for the client together with the event for the audit trail. What cannot be decided is not allowed.
Whose decisions take more of a worker's time than its share is asked to come later.

| module | holds |
|---|---|
| `request` | the parameters of a request to open a tunnel. Pure |
| `admission` | the decision on a request, and again on a tunnel that is open |
| `decision` | what comes of it, as values. Pure |
| `decision_cache` | a cache of what comes of it for the same caller and target |
| `decision_time`, `in_turn` | the time that decisions on each principal's requests take; who waits for it |
| `network` | whether the endpoint's and the instance's security groups let the connection through |
| `served` | whose endpoints are this gateway's |
| `off_limits`, `resolver` | where no tunnel leads; addresses of hosts known by name, looked up in a thread |
| `preserve_client_ip` | whether the target can be connected from the client's address. Pure |
| `refusal` | every way to say no, and every word of it that a client reads. Pure |
"""
