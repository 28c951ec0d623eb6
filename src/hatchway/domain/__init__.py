"""The nouns of Hatchway, their ids, ARNs and invariants. Pure."""
