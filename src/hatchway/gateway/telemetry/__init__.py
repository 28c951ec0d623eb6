"""What operators see of tunnels besides the log: metrics and traces.

Invariants: the names of metrics, their labels and the attributes of spans are an interface. No client address
and no id is a label. Nothing is done for each frame.

| module | holds |
|---|---|
| `metrics` | what a worker counts and measures |
| `histogram` | a cheap histogram of durations |
| `tracing` | a tunnel's beginning and end as spans, when tracing is configured |
"""
