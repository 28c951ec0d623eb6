"""X.509 (RFC 5280): the private certificate authority, what it issues, and what certificates say.

| module | what it does |
|---|---|
| `certificates` | what certificates say |
| `certificate_authority` | the private CA: made, and issuing |
| `name_constraints` | for which names a CA may issue |
| `alternative_names` | which names one certificate has of all that are wanted |
| `renewal` | when a server's certificate is due |
"""
