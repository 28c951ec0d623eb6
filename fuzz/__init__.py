"""Parsers that meet strangers, fed with what strangers might send (see README.md)."""
