"""What happens while something is tried, and whether it holds, in lines with the seconds since it began."""

import time


class Report:
    """What happened, as lines with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.problems: list[str] = []
        self.failed_at = 0.0

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f}  {what}", flush=True)

    def failing(self, what: str) -> None:
        self.failed_at = time.monotonic()
        self.say(what)

    def check(self, holds: bool, what: str) -> None:
        self.say(f"{'ok  ' if holds else 'FAIL'} {what}")
        if not holds:
            self.problems.append(what)
