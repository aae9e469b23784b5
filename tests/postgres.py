"""A PostgreSQL server of the tests' own, where its programs are installed."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, or ``None`` where there are none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    if found:
        folders.append(Path(found).resolve().parent)
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)


def free_port() -> int:
    """A TCP port that nobody listens on, nor will by chance: below those that the kernel gives to
    whoever asks for any, so that a server can be started there later, and again."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def new_database(maintenance: str) -> str:
    """Make an empty database; returns its address."""
    name = f"textbridge_{uuid4().hex}"
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return maintenance.rpartition("/")[0] + f"/{name}"


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[str]:
    """Start a server and yield the address of its maintenance database.

    Only a ``durable`` one waits for the disk, which makes most tests much slower.
    """
    folder = Path(tempfile.mkdtemp(prefix="textbridge-postgres-"))
    port = free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    if not durable:
        options += " -c fsync=off"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        _run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "textbridge", "-N")
        _run(
            "pg_ctl",
            "-D",
            str(folder / "data"),
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            options,
            "start",
        )
        try:
            yield f"postgresql://textbridge@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    folder = programs()
    assert folder is not None
    command = [str(folder / program), *arguments]
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
