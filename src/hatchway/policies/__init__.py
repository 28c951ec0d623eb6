"""Questions about policies: simulated, tested by cases in files, linted, explained from the audit trail."""
