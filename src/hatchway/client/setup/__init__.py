"""What a user's machine is given to reach a server: a profile, a CA to trust, a bundle of both."""
