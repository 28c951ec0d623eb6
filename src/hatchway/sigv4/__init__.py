"""Signature Version 4: signing keys, verifying, presigning. Pure."""
