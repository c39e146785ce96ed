"""Progress and messages on stderr: live bars on a terminal, plain lines in a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from citygan.errors import printable

PLAIN_SECONDS = 10.0  # between lines in a pipe


def say(text: str) -> None:
    """One line on stderr; control characters in it are escaped."""
    with contextlib.suppress(OSError):  # nobody listens any more, or a full disk: no reason to stop the work
        print(printable(text), file=sys.stderr, flush=True)


def print_path(path: str | os.PathLike[str]) -> None:
    """A path on stdout, as bytes: a name that is no text in this locale still goes out as it is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.buffer.flush()


class Progress:
    """Progress of one long work.

    Args:
        what: What is being done.
        total: How many there are to do.
        done: How many are done already.
        unit: What is counted.
    """

    def __init__(self, what: str, total: int, done: int = 0, unit: str = "step") -> None:
        from tqdm import tqdm

        self.what = what
        self.total = total
        self.live = sys.stderr.isatty()
        self.bar = tqdm(
            total=total, initial=done, desc=printable(what), unit=unit, disable=not self.live, dynamic_ncols=True
        )
        self._first = self._done = done
        self._began = self._last = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        """`done` in all are done now."""
        if self.live:
            if note:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(done - self._done)
        self._done = done
        now = time.monotonic()
        if not self.live and (now - self._last >= PLAIN_SECONDS or done == self.total):
            self._last = now
            speed = (done - self._first) / max(now - self._began, 1e-9)
            left = (self.total - done) / speed if speed > 0 else 0.0
            say(f"{self.what}: {done}/{self.total}, {speed:.1f}/s, {_clock(left)} left{'  ' + note if note else ''}")

    def close(self) -> None:
        """Leaves the terminal clean."""
        self.bar.close()


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
