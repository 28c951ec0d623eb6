"""The audit trail's records as rows: what they are found by, and which of them are still to become a file.

| module | holds |
|---|---|
| `audit_rows` | the records, with the index of what they are found by |
| `term_lines` | what a record is found by as one text, until it is in the index |
| `due_events` | which of them become JSON lines next |
| `event_bodies` | their texts, no more at once than memory is for |
"""
