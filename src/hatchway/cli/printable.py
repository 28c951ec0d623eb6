"""Text for a terminal."""

import json


def printable(text: str) -> str:
    """The text with whatever a terminal might obey, such as an escape sequence, spelled out.

    Values in the audit trail are whatever clients sent, and those in lists whatever a server says.
    """
    return (
        text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    )
