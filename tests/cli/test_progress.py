"""The progress of long commands: a bar on a terminal, lines in a log, and an interrupted run."""

import json
import os
import shutil
import signal
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import gevent
import pytest
from click.testing import CliRunner
from gevent.pool import Pool

from blueprints.cli import export, prune
from blueprints.cli import progress as progress_module
from blueprints.cli.progress import ProgressDisplay, progress_shown
from services.core.messages import Message
from services.media.folder import Folder
from services.messaging import recover
from services.operations.export import as_csv
from services.store.maintenance import backup, pruning, removal
from tests.cli.conftest import Terminal, inbound
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.s3 import S3Server
from tests.message_steps import run_due_jobs, stored_messages


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


def attachments(storage: Path, count: int) -> list[str]:
    """Put small files where attachments are stored; returns their ids."""
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(count)]
    for file_id in ids:
        Folder(storage / "media").put(file_id, [b"GIF89a"], 100)
    return ids


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

    # A test run in the background ignores some signals, and so would the command.
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    outside = signal.signal(number, usual)
    before = signal.getsignal(number)
    try:
        result = CliRunner().invoke(work)
        after = signal.getsignal(number)
    finally:
        signal.signal(number, outside)
    assert result.exit_code == 130
    assert result.stderr == (
        "Error: Interrupted after 41 of 100 messages. Run the command again for the rest.\n"
    )
    assert after is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_where_errors_are_ignored_ends_the_command_all_the_same(
    number: int,
) -> None:
    class Watched:
        """What is collected when the signal comes: Python prints the error of a finalizer."""

        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            for _ in range(10):
                pass

    @click.command()
    def work() -> None:
        with progress_shown(rest="Run the command again.") as progress:
            watched = Watched()
            for count in range(1000):
                progress("messages", count, 1000)
                if count == 5:
                    del watched

    result = CliRunner().invoke(work)
    assert result.exit_code == 130
    assert result.stderr.endswith("Interrupted after 5 of 1,000 messages. Run the command again.\n")


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_another_greenlet_ends_the_command_without_a_traceback(
    number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def work() -> None:
        with progress_shown(rest="Run the command again.") as progress:
            progress("messages", 5, 10)
            pool = Pool(2)
            pool.spawn(os.kill, os.getpid(), number)
            pool.spawn(gevent.sleep, 60)
            pool.join()

    assert CliRunner().invoke(work).exit_code == 130
    assert "Traceback" not in capfd.readouterr().err


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """The usual handlers of signals: a test run in the background ignores some."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_unknown_total_is_a_bar_that_moves() -> None:
    stream, clock = Stream(terminal=True), Clock()
    display = ProgressDisplay(stream, clock)
    for done in range(5):
        display("messages", done * 100, None)
        clock.now += 1
    display.close()
    assert "400 messages" in stream.getvalue()
    assert "%" not in stream.getvalue()


# The commands


@pytest.fixture
def big_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each step be shown, as if it took long."""
    monkeypatch.setattr(progress_module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.0)


@pytest.mark.usefixtures("big_steps")
def test_a_backup_says_how_far_it_is_and_is_whole_in_small_steps(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES", 7)
    attachments(tmp_path, 3)
    inbound(terminal.gateway, "keep me")
    told = terminal.flask("backup", str(tmp_path / "copies")).stderr
    assert "database pages" in told
    assert "3 of 3 attachments" in told
    [made] = (tmp_path / "copies").iterdir()
    with closing(sqlite3.connect(made / "textbridge.db")) as copy:
        assert copy.execute("SELECT text FROM messages").fetchall() == [("keep me",)]


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_does_not_copy_attachments_again(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    inbound(terminal.gateway, "keep me")
    ids = attachments(tmp_path, 4)
    copied: list[str] = []
    whole = backup.copy_file

    def copy_file(source: Path, target: Path) -> None:
        whole(source, target)
        if source.name in ids:
            copied.append(source.name)
            if len(copied) == 3:
                os.kill(os.getpid(), number)

    monkeypatch.setattr(backup, "copy_file", copy_file)
    folder = tmp_path / "copies"
    told = terminal.flask("backup", str(folder), code=130).stderr
    assert "Interrupted after 2 of 4 attachments. There is no new backup." in told
    [left] = folder.iterdir()
    assert left.name.startswith(".textbridge-")
    left = left.rename(left.with_name(".textbridge-20260101-000000.1.part"))
    with backup._locked(left) as is_ours:  # of a backup that is being made
        assert is_ours
        terminal.flask("backup", str(folder))
        assert left.exists()
    [first] = folder.glob("textbridge-*")
    shutil.rmtree(first)
    (tmp_path / "media" / "01" / ids[1]).unlink()  # deleted meanwhile, perhaps as somebody asked
    copied[:] = copied[:2]
    before = sorted(copied)
    copied.clear()
    terminal.flask("backup", str(folder))
    [made] = folder.iterdir()
    assert made.name.startswith("textbridge-")
    rest = sorted({*ids} - {ids[1]})
    assert sorted(path.name for path in made.glob("media/*/*")) == rest
    assert {path.read_bytes() for path in made.glob("media/*/*")} == {b"GIF89a"}
    assert not {*copied} & {*before}
    with closing(sqlite3.connect(made / "textbridge.db")) as copy:
        assert copy.execute("SELECT text FROM messages").fetchall() == [("keep me",)]
    assert {path.name for path in made.iterdir()} == {
        "textbridge.db", "message_settings.json", "app.key", "media"
    }  # fmt: skip


@pytest.mark.usefixtures("big_steps")
def test_commits_between_two_steps_do_not_begin_a_backup_anew(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES", 20)
    inbound(terminal.gateway, "before")
    seen: list[int] = []

    def write(what: str, done: int, total: int | None) -> None:
        seen.append(done)
        inbound(terminal.gateway, f"text {len(seen)}")

    backup.back_up_database(terminal.gateway.store.engine, tmp_path / "copy.db", write)
    assert seen == sorted(seen)
    assert len(seen) > 3
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT text FROM messages").fetchall() == [("before",)]


@pytest.mark.usefixtures("big_steps")
def test_an_interrupted_prune_goes_on_where_it_was(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in range(6):
        inbound(terminal.gateway, f"text {count}")
    monkeypatch.setattr(removal, "BATCH", 2)
    monkeypatch.setattr(pruning, "BATCH", 2)
    monkeypatch.setattr(prune, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(prune, "DAY", -86_400.0)  # so that they are old
    sent = iter([None, signal.SIGTERM])

    def stop(_: float) -> None:
        if (number := next(sent)) is not None:
            os.kill(os.getpid(), number)

    run_due_jobs(terminal.gateway)
    with monkeypatch.context() as patch:
        patch.setattr(prune, "time", SimpleNamespace(sleep=stop, time=time.time))
        told = terminal.flask("messages", "prune", "--older-than", "1d", "--yes", code=130).stderr
    assert "Error: Interrupted after 4 of 6 messages deleted. What was deleted stays so." in told
    # One document on standard output, whether it was interrupted or not.
    sent = iter([signal.SIGTERM])
    again = ("messages", "prune", "--older-than", "1d", "--yes", "--json")
    monkeypatch.setattr(removal, "BATCH", 1)
    monkeypatch.setattr(pruning, "BATCH", 1)
    with monkeypatch.context() as patch:
        patch.setattr(prune, "time", SimpleNamespace(sleep=stop, time=time.time))
        ended = terminal.flask(*again, code=130)
    assert json.loads(ended.stdout)["error"].startswith("Interrupted after ")
    assert terminal.json(*again[:-1])["messages"] == 1
    assert "asks nothing" in terminal.flask(*again[:-2], "--json", code=2).stderr
    assert stored_messages(terminal.gateway) == []


@pytest.mark.usefixtures("big_steps")
def test_json_has_no_progress_beside_it(
    make_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    attachments(tmp_path, 3)
    with S3Server() as server:
        shop = make_terminal(NUMBER_ENTRY, **server.env)
        assert "attachments" not in shop.flask("media", "copy", "--json").stderr
        assert "3 of 3 attachments" in shop.flask("media", "copy").stderr


def test_an_export_into_a_folder_that_is_not_there_names_the_folder(
    terminal: Terminal, tmp_path: Path
) -> None:
    told = terminal.flask("messages", "export", str(tmp_path / "no" / "x.csv"), code=1).stderr
    assert f"{tmp_path / 'no'}: No such file or directory." in told


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_the_file_of_before_or_none(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    inbound(terminal.gateway, "keep me")
    whole = as_csv

    def interrupted(*args: Any) -> Iterator[str]:
        yield from whole(*args)
        os.kill(os.getpid(), number)

    file = tmp_path / "out" / "messages.csv"
    file.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(export, "as_csv", interrupted)
        told = terminal.flask("messages", "export", str(file), code=130).stderr
        assert list(file.parent.iterdir()) == []
        file.write_text("of yesterday")
        terminal.flask("messages", "export", str(file), code=130)
    assert "Interrupted after 1 messages. No file was written" in told
    assert "begins anew" in told
    assert [(one, one.read_text()) for one in file.parent.iterdir()] == [(file, "of yesterday")]
    terminal.flask("messages", "export", str(file))
    assert "keep me" in file.read_text("utf-8-sig")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [*file.parent.iterdir()] == [file]


@pytest.mark.usefixtures("usual_signals")
def test_an_interrupted_recovery_keeps_what_was_stored_and_goes_on(
    make_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_terminal(NUMBER_ENTRY)
    sandbox = shop.gateway.providers["sandbox"]
    missed = [
        Message("in", NUMBER, PEER, text=f"missed {count}", provider_id=f"m{count}")
        for count in range(5)
    ]
    monkeypatch.setattr(type(sandbox), "keeps_inbound", True)
    monkeypatch.setattr(sandbox, "missed", lambda _since: missed, raising=False)
    monkeypatch.setattr(recover, "BATCH", 2)
    store, calls = shop.gateway.store, []
    write = type(store).write

    def interrupted(self: Any, work: Any) -> Any:
        calls.append(work)
        result = write(self, work)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "write", interrupted)
        told = shop.flask("messages", "recover", "--since", "2026-01-01", code=130).stderr
    assert "Interrupted after 2 of 5 messages of Sandbox stored. What was stored stays so." in told
    assert len(stored_messages(shop.gateway)) == 4
    told = shop.flask("messages", "recover", "--since", "2026-01-01").stdout
    assert "1 recovered, 4 were there already" in told
    assert len(stored_messages(shop.gateway)) == 5
