"""How many calls of each principal are being answered."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class TooManyCalls(Exception):
    """The caller has as many calls under way as one principal may have; or another bound of its calls."""

    def __init__(self, message: str = "Too many of your calls are under way. Send fewer at once.") -> None:
        super().__init__(message)


class ConcurrentCalls:
    """Counts them. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def one_more(self, principal: str) -> Iterator[None]:
        """Counts one within the context.

        Raises:
            TooManyCalls: there are as many as there may be.
        """
        with self._lock:
            if self._of[principal] >= self._most:
                raise TooManyCalls
            self._of[principal] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of[principal] -= 1
                if not self._of[principal]:
                    del self._of[principal]
