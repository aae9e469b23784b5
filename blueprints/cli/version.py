"""``flask version``: the version of Textbridge and of the software that it runs on."""

import platform

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, facts, json_option
from services.config.version import version as textbridge_version
from services.core.errors import StorageUnwell
from services.store.database.engine import sqlite_version
from services.store.database.migrate import head
from services.store.database.migrate import version as revision


@command("version")
@json_option
def version(as_json: bool) -> None:
    """Print the version of Textbridge, Python, SQLite, libpq and the database.

    The revision of the database is the newest migration that it has. It is missing where the
    database cannot be read.
    """
    engine = parts().store.engine
    found = {
        "textbridge": textbridge_version(),
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
        "libpq": _libpq_version(),
        "database": engine.dialect.name,
        "revision": _revision(engine),
        "newest_revision": head(),
    }
    if as_json:
        document(found)
        return
    click.echo(f"Textbridge {found.pop('textbridge')}")
    facts((name.partition("_")[0], value) for name, value in found.items())


def _libpq_version() -> str:
    """The version of PostgreSQL's client library, which is a number such as 170004 for 17.4."""
    from psycopg import pq  # noqa: PLC0415 - megabytes that a server on SQLite does without

    major, minor = divmod(pq.version(), 10_000)
    return f"{major}.{minor}"


def _revision(engine: Engine) -> str | None:
    """The newest migration that the database has, or ``None`` where it cannot be read."""
    try:
        return revision(engine)
    except (DBAPIError, PoolTimeout, StorageUnwell):
        return None
