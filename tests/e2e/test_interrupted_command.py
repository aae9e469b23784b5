"""A long command on a real terminal: its bar, what a signal makes of it, and the next run."""

import os
import pty
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import func, select, update

from services.gateway import Gateway, load_environment
from services.store.database.schema import messages
from services.store.maintenance.removal import BATCH
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.message_steps import receive_text
from tests.processes import start
from tests.server import ROOT, Server
from tests.waiting import PATIENCE

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


def test_a_prune_that_is_ended_says_how_far_it_was_and_goes_on(tmp_path: Path) -> None:
    server = Server(tmp_path / "storage", {})
    old_messages(server)
    ours, theirs = pty.openpty()
    prune = ("messages", "prune", "--older-than", "365d", "--yes")
    running = start(
        sys.executable, "-m", "flask", "--app", "wsgi", *prune,
        cwd=ROOT, env=server.env, stdout=theirs, stderr=theirs, stdin=theirs,
    )  # fmt: skip
    os.close(theirs)
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
