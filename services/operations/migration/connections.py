"""Read-only connections to the databases of other systems, whose passwords appear nowhere."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from services.operations.migration.source import SourceError

CONNECT_SECONDS = 15
READ_SECONDS = 600  # of one query: an old server may sort a million messages
# A server or a tunnel that is gone without a word: https://www.postgresql.org/docs/current/libpq-connect.html
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def parse_address(written: str, kinds: Sequence[str], example: str) -> URL:
    """The parts of a database's address. Raises ``SourceError``, which never repeats it."""
    try:
        url = make_url(written.strip())
    except (ArgumentError, ValueError):
        url = None
    # An @ in the password makes its second half a host.
    if url is None or written.count("@") > 1 or not url.database:
        raise SourceError(
            f"This is no address of a database. It looks like {example}; "
            "in the password write @ as %40, / as %2F."
        )
    if url.drivername not in kinds:
        raise SourceError(f"The address must begin with {kinds[0]}://, such as {example}.")
    return url


@contextmanager
def told(failure: type[Exception], url: URL) -> Iterator[None]:
    """Turn errors of a driver into ``SourceError``, without the password."""
    try:
        yield
    except failure as error:
        words = str(error.args[-1] if error.args else error).strip()
        first = words.splitlines()[0] if words else type(error).__name__
        for secret in (url.password, url.query.get("password")):
            if secret and isinstance(secret, str):
                first = first.replace(secret, "…")
        raise SourceError(f"The database {url.database} cannot be read: {first}") from None


def driver(name: str, package: str) -> Any:
    """A database driver, which is loaded only here: the server does without it.

    Raises ``SourceError`` with the line that installs it.
    """
    try:
        return import_module(name)
    except ImportError:
        raise SourceError(
            f"The Python package {package} is needed to read this database, and is not installed. "
            f"Install it: {sys.executable} -m pip install {package}. Or export the data to CSV "
            "files, as docs/migrate.md says."
        ) from None


def decoded(value: Any) -> str:
    """A text of a database; bytes that are not UTF-8 become U+FFFD, no value an empty text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return "" if value is None else str(value)


def open_postgres(url: URL) -> Any:
    """A connection (psycopg) with read-only transactions. Raises ``SourceError``."""
    psycopg: Any = driver("psycopg", "psycopg[binary]")
    named = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    given = {key: value for key, value in url.query.items() if isinstance(value, str)}
    defaults: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "UTF8"}
    with told(psycopg.Error, url):
        connection = psycopg.connect(**(defaults | KEEPALIVE | named | given))
        connection.execute(f"SET statement_timeout TO '{READ_SECONDS}s'")
        connection.commit()
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # Its texts are bytes of any encoding, which the server does not convert.
            connection.execute("SET client_encoding TO 'SQL_ASCII'")
            connection.commit()
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        loader = _lenient_text(psycopg)
        for kind in ("text", "varchar", "bpchar", "name"):
            connection.adapters.register_loader(kind, loader)
        return connection


def _lenient_text(psycopg: Any) -> Any:
    """A loader of texts that never fails."""
    base: Any = psycopg.adapt.Loader

    class LenientText(base):  # type: ignore[misc]
        def load(self, data: Any) -> str:
            return decoded(data)

    return LenientText


def open_mariadb(url: URL) -> Any:
    """A connection (PyMySQL) with read-only transactions, whose texts are bytes in UTF-8.

    Raises ``SourceError``.
    """
    pymysql: Any = driver("pymysql", "pymysql")
    socket = url.query.get("unix_socket")
    ca = url.query.get("ssl_ca")
    more: dict[str, Any] = {}
    if isinstance(socket, str):
        more["unix_socket"] = socket
    if isinstance(ca, str):
        more["ssl_ca"] = ca
    with told(pymysql.Error, url):
        connection = pymysql.connect(
            host=url.host or "localhost",
            port=url.port or 3306,
            user=url.username or "",
            password=url.password or "",
            database=url.database,
            charset="utf8mb4",
            use_unicode=False,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            write_timeout=READ_SECONDS,
            **more,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
        return connection
