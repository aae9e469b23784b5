"""The progress of long commands: a bar on a terminal, lines in a log, and an interrupted run."""

import os
import signal
from io import StringIO

import click
import pytest
from click.testing import CliRunner

from blueprints.cli.progress import ProgressDisplay, progress_shown


class Stream(StringIO):
    """A standard error, which may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_now_and_then_with_what_is_left() -> None:
    stream, clock = Stream(terminal=False), Clock()
    display = ProgressDisplay(stream, clock)
    for done in range(1, 101):
        clock.now += 1
        display("messages", done * 100, 10_000)
    display.close()
    lines = stream.getvalue().splitlines()
    assert lines == [
        "3,100 of 10,000 messages, about 69 seconds left",
        "6,100 of 10,000 messages, about 39 seconds left",
        "9,100 of 10,000 messages, about 9 seconds left",
    ]


def test_a_terminal_gets_a_bar_that_ends_full() -> None:
    stream, clock = Stream(terminal=True), Clock()
    display = ProgressDisplay(stream, clock)
    for done in range(11):
        display("attachments", done * 100, 1000)
        clock.now += 1
    display.close()
    shown = stream.getvalue()
    assert "200 of 1,000 attachments, about 8 seconds left" in shown
    last = shown.rsplit("\r", 1)[1]
    assert "100%  1,000 of 1,000 attachments" in last
    assert "#" * 30 in last


def test_what_an_earlier_run_has_done_does_not_make_the_estimate_too_good() -> None:
    stream, clock = Stream(terminal=False), Clock()
    display = ProgressDisplay(stream, clock)
    display("messages", 9_000, 10_000)
    clock.now += 40
    display("messages", 9_100, 10_000)
    assert "9,100 of 10,000 messages, about 6 minutes left" in stream.getvalue()


def test_short_work_and_work_without_a_stream_show_nothing() -> None:
    for stream in (Stream(terminal=True), Stream(terminal=False)):
        display = ProgressDisplay(stream, Clock())
        display("messages", 1, 2)
        display("messages", 2, 2)
        display.close()
        assert stream.getvalue() == ""
    quiet = ProgressDisplay(None, Clock())
    quiet("messages", 1, None)
    assert quiet.so_far == "1 messages"


def test_each_part_of_the_work_has_a_bar_of_its_own() -> None:
    stream, clock = Stream(terminal=True), Clock()
    display = ProgressDisplay(stream, clock)
    for what in ("pages", "attachments"):
        for done in range(4):
            display(what, done, 4)
            clock.now += 2
    display.close()
    lines = stream.getvalue().split("\n")
    assert "3 of 4 pages" in lines[0]
    assert "3 of 4 attachments" in lines[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_with_what_was_done(number: int) -> None:
    @click.command()
    def work() -> None:
        with progress_shown(rest="Run the command again for the rest.") as progress:
            progress("messages", 41, 100)
            os.kill(os.getpid(), number)
            progress("messages", 42, 100)

    before = signal.getsignal(number)
    result = CliRunner().invoke(work)
    assert result.exit_code == 130
    assert result.stderr == (
        "Error: Interrupted after 41 of 100 messages. Run the command again for the rest.\n"
    )
    assert signal.getsignal(number) is before
