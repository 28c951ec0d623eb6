"""What target hosts ask and say, by tokens of their own and not in AWS's protocols.

| module | what it does |
|---|---|
| `authentication` | which host it is that asks |
| `authorized_keys` | what its sshd asks: which keys let in whom |
| `key_reports` | the keys by which its sshd is known |
| `proofs` | a key by which a host sees that its sshd asks here |
| `registration` | hosts that register themselves |
| `own_machines` | at which addresses none does: those of our own machines |
"""
