"""A server's data directory and store: made, opened, kept from others, backed up and restored."""
