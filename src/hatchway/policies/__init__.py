"""Questions about policies: simulated, tested by cases in files, linted, explained from the audit trail.

What `hatchway simulate`, `policy test`, `lint` and `explain` do; the commands parse, ask and print. Decisions
are `hatchway.iam`'s: nothing here decides.

| module | holds |
|---|---|
| `simulation` | requests put to policies |
| `principal` | the policies of a user, role or group of an account |
| `cases` | tests of policies as files: cases in, results out, JUnit XML |
| `lint`, `reference` | findings about files; what is known of AWS's services |
| `events` | why a call was allowed or refused, from its event |
| `store_events` | the same, looked for in the store |
| `store_trail` | what has happened, looked up in the store |
| `files` | policy documents in files |
"""
