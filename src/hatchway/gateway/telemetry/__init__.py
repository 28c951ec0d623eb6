"""What operators see of tunnels, besides the log: metrics and traces.

What must hold here: names of metrics, their labels and the attributes of spans are an interface. No address
of a client and no id is a label; nothing is done for each frame.

| module | holds |
|---|---|
| `metrics` | what a worker counts and measures |
| `seconds` | how long something took, cheaply |
| `tracing` | a tunnel's beginning and end as spans, when that is configured |
"""
