"""What whoever asks for a tunnel and whoever opens it have agreed on. Clients load it whenever they start."""

from typing import Final

USUAL_DURATION: Final = 3600
"""Seconds: how long a tunnel lasts when nothing else is asked for, and the longest that AWS has."""

LONGEST_DURATION: Final = 86_400
"""Seconds: the longest that an account may let tunnels last (`Quotas.max_tunnel_duration`)."""

HALF_CLOSE: Final = "hatchway-half-close"
"""The WebSocket subprotocol (RFC 6455 section 1.9) in which either side can end its own direction alone, by
the text message `END_OF_DATA`. A client that does not offer it, as AWS's do not, has a tunnel without."""

END_OF_DATA: Final = b"end"
"""Whoever sends it sends no data after it, and is still sent what the other has to say."""
