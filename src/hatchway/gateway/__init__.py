"""The data plane: handshake, admission, relay, registry of tunnels, server."""
