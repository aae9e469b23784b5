"""A long command on a real terminal: its bar, what a signal makes of it, and the next run."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from services.gateway import Gateway, load_environment
from services.media.folder import Folder
from services.store.database.schema import messages
from services.store.maintenance.removal import BATCH
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.fakes.s3 import S3Server
from tests.message_steps import receive_text
from tests.processes import start
from tests.server import ROOT, Server
from tests.waiting import PATIENCE, eventually

BATCHES = 3


def old_messages(server: Server) -> None:
    """Several batches of messages that are older than a year."""
    server.storage.mkdir(mode=0o700)
    (server.storage / "message_settings.json").write_text(
        settings_file({**NUMBER_ENTRY, "extensions": [], "emails": ["desk@example.com"]}), "utf-8"
    )
    gateway = Gateway(load_environment(server.env))
    gateway.prepare()
    try:
        for count in range(BATCHES * BATCH):
            receive_text(gateway, f"text {count}", id=f"m{count}")
        old = time.time() - 400 * 86_400
        gateway.store.write(
            lambda tx: (
                tx.execute(update(messages).values(created_at=old)),
                tx.exec_driver_sql("DELETE FROM jobs"),
            )
        )
    finally:
        gateway.close()


def left(server: Server) -> int:
    gateway = Gateway(load_environment(server.env))
    try:
        return gateway.store.read(
            lambda tx: int(tx.scalar(select(func.count()).select_from(messages)) or 0)
        )
    finally:
        gateway.close()


def read_until(terminal: int, words: str) -> str:
    """What a command prints on its terminal, up to some words or its end."""
    shown, end = "", time.monotonic() + PATIENCE
    with suppress(OSError):  # the other side was closed
        while words not in shown and time.monotonic() < end:
            shown += os.read(terminal, 4096).decode("utf-8", "replace")
    return shown


def on_terminal(server: Server, *command: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command on a terminal; returns it with our side of the terminal."""
    ours, theirs = pty.openpty()
    running = start(
        sys.executable, "-m", "flask", "--app", "wsgi", *command,
        cwd=ROOT, env=server.env, stdout=theirs, stderr=theirs, stdin=theirs,
    )  # fmt: skip
    os.close(theirs)
    return running, ours


def interrupted(server: Server, number: int, words: str, *command: str) -> str:
    """What a command prints that gets a signal once it has printed some words."""
    running, ours = on_terminal(server, *command)
    shown = read_until(ours, words)
    running.send_signal(number)
    shown += read_until(ours, "\0")
    assert running.wait(PATIENCE) == 130, shown
    os.close(ours)
    return " ".join(shown.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_backup_that_is_ended_ends_pg_dump_too(
    empty_postgres_url: str, tmp_path: Path, number: int
) -> None:
    program, pid = tmp_path / "bin" / "pg_dump", tmp_path / "pid"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 300\n")
    program.chmod(0o755)
    server = Server(tmp_path / "storage", {"DATABASE_URL": empty_postgres_url})
    server.env["PATH"] = f"{program.parent}:{server.env['PATH']}"
    running, ours = on_terminal(server, "backup", str(tmp_path / "copies"))
    eventually(pid.exists)
    running.send_signal(number)
    shown = read_until(ours, "\0")
    assert running.wait(PATIENCE) == 130, shown
    os.close(ours)
    assert "There is no new backup" in shown
    assert list((tmp_path / "copies").iterdir()) == []
    eventually(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_copy_of_attachments_that_is_ended_goes_on(tmp_path: Path, number: int) -> None:
    count = 600
    with S3Server() as bucket:
        bucket.delay = 0.01  # the bar appears after a second
        server = Server(tmp_path / "storage", bucket.env)
        server.storage.mkdir(mode=0o700)
        for each in range(count):
            file_id = f"00000000-0000-4000-8000-{each:012d}"
            Folder(server.storage / "media").put(file_id, [b"GIF89a"], 100)
        shown = interrupted(server, number, f" of {count} attachments", "media", "copy")
        assert "Interrupted after " in shown
        assert "What was copied stays so." in shown
        assert "Traceback" not in shown
        bucket.delay = 0.0
        there = len(bucket.objects)
        assert 0 < there < count
        done = server.flask("media", "copy", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["copied"] == count - there
        assert found["already"] == there
        assert len(bucket.objects) == count


def test_a_prune_that_is_ended_says_how_far_it_was_and_goes_on(tmp_path: Path) -> None:
    server = Server(tmp_path / "storage", {})
    old_messages(server)
    prune = ("messages", "prune", "--older-than", "365d", "--yes")
    running, ours = on_terminal(server, *prune)
    shown = read_until(ours, f" of {BATCHES * BATCH} messages deleted, about ")
    running.send_signal(signal.SIGTERM)
    shown += read_until(ours, "goes on from there.")
    assert running.wait(PATIENCE) == 130
    os.close(ours)
    assert "##" in shown
    assert "Error: Interrupted after " in shown
    remaining = left(server)
    assert 0 < remaining < BATCHES * BATCH
    again = server.flask(*prune)
    assert again.returncode == 0, again.stderr
    assert f"Messages:      {remaining}" in again.stdout
    assert left(server) == 0
