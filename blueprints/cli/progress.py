"""Progress of a long command on standard error: a bar on a terminal, a line now and then in a log.

    with progress_shown(rest="Run the command again: it goes on from there.") as progress:
        for done, row in enumerate(rows, start=1):
            …
            progress("rows", done, len(rows))

Work that takes less than a second shows nothing. Ctrl-C, SIGTERM and SIGHUP end the command with
how far it was and the sentence ``rest``.
"""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import click
from gevent import getcurrent, kill

from services.core.durations import in_words

FIRST_SECONDS = 1.0  # shorter work shows nothing
BAR_SECONDS, LINE_SECONDS = 0.2, 30.0  # between two bars and between two lines of a log
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(click.ClickException):
    """A signal has ended the command; exit code 130."""

    exit_code = 130


class ProgressDisplay:
    """A ``Progress`` that prints: a bar with what is left if ``stream`` is a terminal, else lines.

    ``clock`` is in seconds. A ``stream`` of ``None`` prints nothing, and only counts.
    """

    def __init__(self, stream: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._has_terminal = stream is not None and stream.isatty()
        self._began = self._shown = clock()
        self._what, self._first, self._done = "", 0, 0
        self._total: int | None = None
        self._bar: Any = None
        self.has_signal = False
        self._greenlet = getcurrent()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Say how far it is, see ``Progress``. Raises ``KeyboardInterrupt`` after a signal."""
        if self.has_signal and getcurrent() is self._greenlet:
            # It was raised where errors are ignored, such as in the callback of a weak reference.
            raise KeyboardInterrupt
        now = self._clock()
        if what != self._what:
            self.close()
            self._what, self._first, self._began, self._shown = what, done, now, now
        self._done, self._total = done, total
        is_first = self._shown == self._began
        wait = FIRST_SECONDS if is_first and self._has_terminal else self._seconds
        is_end = done == total and self._bar is not None
        if self._stream is not None and (is_end or now - self._shown >= wait):
            self._shown = now
            self._print(now)

    def close(self) -> None:
        """End the line of the bar."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    @property
    def so_far(self) -> str:
        """How far it is: “4,100 of 10,000 messages”; empty before the first call."""
        if not self._what:
            return ""
        of = "" if self._total is None else f" of {self._total:,}"
        return f"{self._done:,}{of} {self._what}"

    @property
    def _seconds(self) -> float:
        return BAR_SECONDS if self._has_terminal else LINE_SECONDS

    def _print(self, now: float) -> None:
        left = self._left(now)
        if not self._has_terminal:
            click.echo(self.so_far + (f", {left}" if left else ""), file=self._stream)
            self._stream.flush()
            return
        if self._bar is None:
            endless: Iterator[int] | None = None if self._total is not None else iter(int, 1)
            self._bar = click.progressbar(
                endless,
                length=self._total,
                file=self._stream,
                show_eta=False,
                bar_template="%(bar)s  %(info)s",
                item_show_func=lambda shown: shown,
            )
        self._bar.length = self._total
        words = self.so_far + (f", {left}" if left else "")
        self._bar.update(self._done - self._bar.pos, words)

    def _left(self, now: float) -> str:
        """How long it still takes at the speed of this run."""
        done = self._done - self._first
        if self._total is None or done <= 0 or self._done >= self._total:
            return ""
        seconds = (now - self._began) / done * (self._total - self._done)
        return f"about {in_words(seconds)} left"


@contextmanager
def progress_shown(*, rest: str, as_json: bool = False) -> Iterator[ProgressDisplay]:
    """Show the progress of the work in the block; with ``as_json`` nothing is printed.

    ``rest`` says what an interrupted run leaves, and how to go on. Raises ``Interrupted``.
    """
    display = ProgressDisplay(None if as_json else sys.stderr)
    try:
        with _signals_raised(display):
            yield display
    except KeyboardInterrupt:
        so_far = f" after {display.so_far}" if display.so_far else ""
        raise Interrupted(f"Interrupted{so_far}. {rest}") from None
    finally:
        display.close()


@contextmanager
def _signals_raised(display: ProgressDisplay) -> Iterator[None]:
    """Let the signals that end a process raise ``KeyboardInterrupt``, so that files are closed.

    It is raised in the greenlet of this block, whichever runs when the signal comes: in another one
    gevent would print it with its traceback.
    """
    own = getcurrent()

    def end(number: int, frame: FrameType | None) -> None:
        display.has_signal = True
        if getcurrent() is own:
            raise KeyboardInterrupt
        kill(own, KeyboardInterrupt)

    before = {}
    with suppress(ValueError):  # not the main thread
        for number in ENDING:
            # nohup ignores SIGHUP
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
