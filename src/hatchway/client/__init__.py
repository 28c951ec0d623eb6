"""What runs on a user's machine: credentials, discovery, tunnel, ssh."""
