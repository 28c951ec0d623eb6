"""Events in the shape of CloudTrail, and their durable log.

    >>> from datetime import UTC, datetime
    >>> from hatchway.audit.events import event_time, unknown_identity
    >>> event_time(datetime(2026, 11, 24, 11, 40, tzinfo=UTC)), unknown_identity("AKIAEXAMPLE")
    ('2026-11-24T11:40:00Z', {'type': 'Unknown', 'accessKeyId': 'AKIAEXAMPLE'})

An event is made once, by `events.event`, from an `EventSource` (who called, and where from) and an `Outcome`.
It is a row of the store (`log.to_record`), and a line of `audit.jsonl` (`export`). Who a principal is in an
event's `userIdentity` says `access.principal.Principal.user_identity`, for both planes.

| module | holds |
|---|---|
| `events` | the events: plain values (AWS: "CloudTrail record contents") |
| `abridged` | large values made smaller, with a mark where something was left out |
| `log`, `record_form` | an event as a row of the store; rows of events that have most in common |
| `terms`, `lookup_fill` | what events are found by; entering that of events that are without |
| `group_commit` | many writers' records in one transaction |
| `refusals` | which refusals are recorded one by one, and the counts of the others |
| `local`, `local_trail` | events of commands on the server itself: their source, and recording them |
| `stored_events` | events read back, though somebody may have entered what is none |
| `denials` | what was refused, found in the log |
| `key_uses`, `service_uses` | when each access key, and each action, was last used |
| `export`, `file_moves` | the log as JSON lines; the event that says in which file they go on |
| `clock_jumps` | a guard against jumps of the clock, for what deletes |
| `retention` | deletes events that are older than they are to be kept |

What must hold here:

- Nothing happens unrecorded: a change and its record are one transaction; a tunnel's record is committed
  before its first byte; what cannot be recorded fails.
- No flood of refusals fills the store: beyond a rate they are counted, and the counts recorded.
- A record never holds a secret, a signature or a byte of a tunnel, and no line of the log more than one
  event.
"""
