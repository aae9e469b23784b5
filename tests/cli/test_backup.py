"""``flask backup``: whole, private, never over another file."""

import errno
import fcntl
import os
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from services.core.commands import flask_command
from services.gateway import Gateway
from services.operations.settings_source import FILE
from tests.cli.conftest import Terminal, inbound
from tests.conftest import NUMBER_ENTRY
from tests.fakes.s3 import S3Server


def test_a_backup_says_that_the_bucket_is_not_in_it(
    make_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    with S3Server() as server:
        shop = make_terminal(NUMBER_ENTRY, **server.env)
        told = shop.flask("backup", str(tmp_path / "copies")).stderr
        assert "in the bucket are not in this copy" in told


def texts(database: Path) -> list[str]:
    """The texts in a copied database."""
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM messages ORDER BY seq")]


def test_a_backup_holds_everything_and_only_its_owner_can_read_it(
    terminal: Terminal, tmp_path: Path
) -> None:
    inbound(terminal.gateway, "keep me")
    picture = tmp_path / "media" / "0a" / "00000000-0000-0000-0000-00000000000a"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"GIF89a")
    picture.with_suffix(".part").write_bytes(b"half a fil")
    terminal.flask("backup", str(tmp_path / "copies"))
    [made] = (tmp_path / "copies").iterdir()
    assert made.name.startswith("textbridge-")
    files = {str(file.relative_to(made)): file for file in made.rglob("*") if file.is_file()}
    assert set(files) == {
        "textbridge.db",
        "message_settings.json",
        "app.key",
        f"media/0a/{picture.name}",
    }
    assert texts(files["textbridge.db"]) == ["keep me"]
    assert files[f"media/0a/{picture.name}"].read_bytes() == b"GIF89a"
    assert files["app.key"].read_bytes() == (tmp_path / "app.key").read_bytes()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_restored_backup_is_a_working_storage_folder(
    terminal: Terminal, tmp_path: Path, make_gateway: Callable[..., Gateway]
) -> None:
    message = inbound(terminal.gateway, "keep me")
    terminal.flask("backup", str(tmp_path / "copies"))
    [made] = (tmp_path / "copies").iterdir()
    again = Terminal(make_gateway(STORAGE_PATH=str(made)))
    assert again.json("messages", "list")[0]["id"] == message.id
    assert again.json("settings", "list") == terminal.json("settings", "list")
    assert again.gateway.environment.app_key == terminal.gateway.environment.app_key


def test_a_backup_while_texts_come_in_holds_whole_messages(
    terminal: Terminal, tmp_path: Path
) -> None:
    stop = threading.Event()
    came: list[str] = []

    def write() -> None:
        while not stop.is_set():
            came.append(inbound(terminal.gateway, f"text {len(came)}").text)

    writer = threading.Thread(target=write)
    inbound(terminal.gateway, "before")
    writer.start()
    try:
        for position in range(5):
            terminal.flask("backup", str(tmp_path / f"{position}.db"))
    finally:
        stop.set()
        writer.join()
    for position in range(5):
        kept = texts(tmp_path / f"{position}.db")
        assert kept == ["before", *(f"text {n}" for n in range(len(kept) - 1))]


def test_a_backup_never_overwrites(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    terminal.flask("backup", str(file))
    before = file.read_bytes()
    assert "never overwrites" in terminal.flask("backup", str(file), code=1).stderr
    assert file.read_bytes() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    assert "cannot be made" in terminal.flask("backup", str(letter), code=1).stderr
    assert letter.read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing_behind(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    (tmp_path / "message_settings.json").unlink()
    (tmp_path / "message_settings.json").mkdir()  # cannot be copied as a file
    assert "cannot be made" in terminal.flask("backup", str(folder), code=1).stderr
    assert list(folder.iterdir()) == []


def test_a_backup_whose_folder_another_one_takes_is_not_made(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    lock = fcntl.flock

    def late(handle: int, how: int) -> None:
        taken.append(os.open(f"/proc/self/fd/{handle}", os.O_RDONLY))
        lock(taken[-1], fcntl.LOCK_EX)
        lock(handle, how)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", late)
        told = terminal.flask("backup", str(tmp_path / "copies"), code=1).stderr
    assert "Another backup begins" in told
    assert list((tmp_path / "copies").iterdir()) == []
    for handle in taken:
        os.close(handle)
    assert "Everything was copied" in terminal.flask("backup", str(tmp_path / "copies")).stdout


def test_a_backup_on_a_file_system_without_locks_is_made(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr("services.store.maintenance.backup.fcntl.flock", refuse)
        done = terminal.flask("backup", str(tmp_path / "copies"))
    assert "Everything was copied" in done.stdout


def test_a_backup_of_postgresql_has_its_database_too(
    make_terminal: Callable[..., Terminal],
    postgres_url: str,
    empty_postgres_url: str,
    tmp_path: Path,
) -> None:
    big = make_terminal(NUMBER_ENTRY, DATABASE_URL=postgres_url)
    inbound(big.gateway, "keep me")
    result = big.flask("backup", str(tmp_path / "copies"))
    assert "the database is in textbridge.dump" in result.stdout
    [made] = (tmp_path / "copies").iterdir()
    dump = made / "textbridge.dump"
    assert stat.S_IMODE(dump.stat().st_mode) == 0o600
    restore = ["pg_restore", "--no-owner", f"--dbname={empty_postgres_url}", str(dump)]
    subprocess.run(restore, check=True)
    with psycopg.connect(empty_postgres_url) as connection:
        assert connection.execute("SELECT text FROM messages").fetchall() == [("keep me",)]


def test_a_backup_of_postgresql_that_fails_leaves_nothing_and_no_password(
    make_terminal: Callable[..., Terminal],
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = postgres_url.replace("textbridge@", "textbridge:s3cret%40@")
    big = make_terminal(NUMBER_ENTRY, DATABASE_URL=address)
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        "echo $PGPASSWORD $PGDATABASE >$CALLED; ps -o args= $$ >>$CALLED\n"
        "echo aborting because of server version mismatch >&2; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("CALLED", str(tmp_path / "called"))
    told = big.flask("backup", str(tmp_path / "copies"), code=1).stderr
    assert "pg_dump: aborting because of server version mismatch" in told
    assert flask_command("backup --no-dump") in told
    assert list((tmp_path / "copies").iterdir()) == []
    password, line = (tmp_path / "called").read_text().splitlines()
    assert password == f"s3cret@ {postgres_url.rpartition('/')[2]}"
    assert "s3cret" not in line + told


def test_a_backup_of_postgresql_says_what_it_does_not_hold(
    make_terminal: Callable[..., Terminal], postgres_url: str, tmp_path: Path
) -> None:
    big = make_terminal(NUMBER_ENTRY, DATABASE_URL=postgres_url)
    (tmp_path / FILE).write_text("not read any more")
    result = big.flask("backup", str(tmp_path / "copies"), "--no-dump")
    assert "as pg_dump was not wanted" in result.stderr
    assert "Now run: pg_dump --format=custom" in result.stderr
    [made] = (tmp_path / "copies").iterdir()
    assert {file.name for file in made.iterdir()} == {"message_settings.json", "app.key", "media"}
    assert (made / FILE).read_bytes() == big.gateway.settings.document()
    assert stat.S_IMODE((made / FILE).stat().st_mode) == 0o600
    assert "pg_dump" in big.flask("backup", str(tmp_path / "copy.db"), code=1).stderr
