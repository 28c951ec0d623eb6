"""Hatchway: EC2 Instance Connect Endpoint, and the IAM permissions that govern it, for any network."""

__version__ = "0.1.0"
