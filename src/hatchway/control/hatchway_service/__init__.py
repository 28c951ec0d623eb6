"""Operations of our own service, `hatchway`. Its model is `protocol/models/hatchway`, in botocore's form.

| module | holds |
|---|---|
| `tunnels` | the tunnels that gateways carry |
| `denials` | why a caller was refused |
"""
