"""Numbers of things, in English."""


def counted(number: int, thing: str) -> str:
    """Such as `1 day` or `1,000 days`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
