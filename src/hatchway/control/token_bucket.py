"""A token bucket: so many at once, so many a second."""

from threading import Lock


class TokenBucket:
    """Holds at most `burst` tokens and gains `rate` a second. It starts full. Safe among threads."""

    def __init__(self, *, burst: int, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._tokens = float(burst)
        self._filled_at: float | None = None
        self._lock = Lock()

    def take(self, now: float) -> bool:
        """Takes a token if there is one. `now` is in seconds, of a clock that never goes back."""
        with self._lock:
            if self._filled_at is not None:
                gained = max(0.0, now - self._filled_at) * self._rate
                self._tokens = min(float(self._burst), self._tokens + gained)
            self._filled_at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
