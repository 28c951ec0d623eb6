"""The control plane of `tests/control`, for whatever other SDKs call it."""

from tests.control.conftest import empty_database, session, shared_server, world

__all__ = ["empty_database", "session", "shared_server", "world"]
