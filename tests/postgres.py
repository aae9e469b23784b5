"""A PostgreSQL server of the tests' own, where its programs are installed."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.processes import ends_with_parent, start
from tests.waiting import eventually


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, or ``None`` where there are none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    if found:
        folders.append(Path(found).resolve().parent)
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def free_port() -> int:
    """A TCP port that nobody listens on, nor will by chance: below those that the kernel gives to
    other processes that ask for any, so that a server can be started there later, and again."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def new_database(maintenance: str, template: str = "template0") -> str:
    """Make a database, empty or as a copy of ``template``; returns its address."""
    name = f"textbridge_{uuid4().hex}"
    # To copy the files takes a quarter of the time of the default way, over the write-ahead log.
    made = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(made)
    return maintenance.rpartition("/")[0] + f"/{name}"


def drop_database(maintenance: str, url: str) -> None:
    """Remove a database, with whatever connections are still open to it."""
    name = url.rpartition("/")[2]
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[str]:
    """Start a server and yield the address of its maintenance database.

    Only a ``durable`` one waits for the disk, which makes most tests much slower.
    """
    folder = Path(tempfile.mkdtemp(prefix="textbridge-postgres-"))
    data, port = folder / "data", free_port()
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        made = _command("initdb", "-D", data, "-A", "trust", "-U", "textbridge", "-N")
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/")
        options = ["-p", port, "-k", folder, "-c", "listen_addresses=127.0.0.1"]
        if not durable:
            options += ["-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            server = start(
                *_command("postgres", "-D", data, *options), stdout=log, stderr=log, cwd="/"
            )
        try:
            url = f"postgresql://textbridge@127.0.0.1:{port}/postgres"
            _wait_until_up(server, url, folder / "log")
            yield url
        finally:
            server.send_signal(signal.SIGQUIT)  # ends at once and takes its children along
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    def is_up() -> bool:
        assert server.poll() is None, log.read_text()
        with suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return True
        return False

    eventually(is_up)


def _command(program: str, *arguments: object) -> list[str]:
    """One of PostgreSQL's programs, which refuse to run as root; it ends with this process."""
    folder = programs()
    assert folder is not None
    # Changing the user clears the parent-death signal, so it is set afterwards.
    command = ends_with_parent(str(folder / program), *map(str, arguments))
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        command = [*as_user, *command]
    return command
