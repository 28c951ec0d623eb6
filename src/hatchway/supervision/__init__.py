"""The processes of a server: their supervisor, and how a restart hands over what listens."""
