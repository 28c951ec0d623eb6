"""The control plane: one HTTP application, a package for each service, and the account's housekeeping.

A call's way: `http.server` (TLS, limits, keep-alive) → `application` (which kind of request; its size and
time) → `dispatcher` (authenticate, parse, run, record; errors become responses) → an operation in `ec2`,
`iam`, `instance_connect`, `sts`, `cloudtrail` or `hatchway_service` → the reply, rendered by
`hatchway.protocol`.

| modules | hold |
|---|---|
| `process`, `plane` | the process from its settings to its end; what all of it works with |
| `http` | HTTP/1.1 within limits |
| `application`, `dispatcher`, `request_state` | from a request to its answer and its record |
| `plain_answers` | answers where no service's protocol is known |
| `threads`, `concurrency`, `call_rates` | who gets a thread; how many calls of a principal, and how fast |
| `operations`, `catalogue`, `services` | what an operation is, all there are, and their services |
| `ec2`, `iam`, `instance_connect`, `sts`, `cloudtrail` | operations of AWS's services |
| `hatchway_service` | operations of our own service `hatchway` |
| `other_services`, `refusals` | calls of services that are not here; every error, in its service's words |
| `texts`, `unsupported`, `page_tokens` | the rule for texts; refused parameters; tokens of pages |
| `host_routes` | what hosts and machines ask and say, by tokens of their own |
| `bearer_tokens` | the tokens by which these ask, and how they are refused |
| `hosts` | what target hosts ask and say by them, and hosts that register themselves |
| `machines`, `own_keys` | machines that join: keys and certificates for their role |
| `audit_trail`, `tracing` | a call as an event, and as a span |
| `service_events` | what hosts and machines do by their tokens, as events |
| `housekeeping` | what is done without being asked |
| `metrics` | what Prometheus is told |

To add an operation, write one function beside its siblings; `operations` shows its shape. What must hold
here:

- An operation reads as parameters → checks → effect → result. It checks once, before anything is done or
  told.
- Of an API call, only the dispatcher opens the transaction, catches the error and writes the record.
- Nothing of a request's work is unbounded: bodies, parameters, rows that are gone through, threads of one
  caller.
- `control` and `gateway` do not import each other: they meet in the store.
"""
