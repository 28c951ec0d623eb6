"""CloudTrail's operations (AWS: "CloudTrail API Reference").

| module | holds |
|---|---|
| `lookup_events` | the audit trail, looked up |
| `event_tokens` | tokens of its pages |
"""
