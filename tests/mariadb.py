"""A MariaDB server of the tests' own, where its programs are installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymysql
import pytest

from tests.postgres import free_port
from tests.processes import start
from tests.waiting import eventually

USER, PASSWORD = "textbridge_reader", "pass word@of/the:tests"
QUOTED = "pass%20word%40of%2Fthe%3Atests"


def program(name: str) -> str | None:
    """The path of one of MariaDB's programs, which may be in ``/usr/sbin``."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class MariaDb:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, database: str | None = None) -> Any:
        """A connection that may do everything."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True
        )

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new database; yields its name. One user may only read it."""
        name = f"asterisk_{uuid4().hex}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            cursor.execute(f"GRANT SELECT ON {name}.* TO {USER}@'127.0.0.1'")
        try:
            yield name
        finally:
            with self.connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name}")

    def url(self, database: str) -> str:
        """The address of a database for the user who may only read."""
        return f"mysql://{USER}:{QUOTED}@127.0.0.1:{self.port}/{database}"


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Start a server; skips the test where there is none."""
    server, install = program("mariadbd"), program("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("MariaDB's server programs are not installed (package mariadb-server).")
    folder = Path(tempfile.mkdtemp(prefix="textbridge-mariadb-"))
    data, port = folder / "data", free_port()
    user = ["--user=root"] if os.geteuid() == 0 else []
    try:
        made = [install, "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        made += ["--auth-root-authentication-method=normal", *user]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        options = [f"--datadir={data}", f"--port={port}", f"--socket={folder / 'socket'}"]
        options += ["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", *user]
        options += [f"--pid-file={folder / 'pid'}", "--skip-log-bin", "--skip-name-resolve"]
        with (folder / "log").open("wb") as log:
            process = start(server, "--no-defaults", *options, stdout=log, stderr=log, cwd="/")
        try:
            running = MariaDb(port)
            _wait_until_up(running, process, folder / "log")
            yield running
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(running: MariaDb, process: "subprocess.Popen[bytes]", log: Path) -> None:
    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        with (
            suppress(pymysql.OperationalError),
            running.connect() as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
            return True
        return False

    eventually(is_up)
