"""``flask database``: copies a SQLite database into PostgreSQL."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.storage_lock import storage_lock
from blueprints.cli.terminal import Group, document, json_option, note, table
from services.config.parsers import postgresql
from services.config.storage_layout import DATABASE, MEDIA
from services.core.errors import SettingsError
from services.message_settings import SettingsFile
from services.operations.settings_source import FILE
from services.store.database.store import Store
from services.store.maintenance.sqlite_to_postgres import Copied, copy_database

UNFINISHED = "Nothing was left in PostgreSQL. Run the command again: it begins anew."
group = Group("database", help="The database: move from SQLite to PostgreSQL.")


@group.command()
@json_option
def copy(as_json: bool) -> None:
    """Copy everything from SQLite into an empty PostgreSQL database, with the server stopped.

    Copies the SQLite database in STORAGE_PATH, and Message Settings, to the address in
    DATABASE_URL; where that is empty the address is asked for. Every table is compared afterwards.
    An interrupted copy leaves nothing in PostgreSQL. The SQLite database stays as it is.
    """
    service = parts().environment.service
    storage = service.storage_path.resolve()
    if not (storage / DATABASE).exists():
        raise click.ClickException(f"There is no SQLite database in {storage}.")
    address = service.database_url or _asked_for()
    with storage_lock(storage):
        target = _open(address, storage)
        source = Store(None, storage)
        try:
            target.migrate()
            source.migrate()
            settings = _settings(storage)
            with progress_shown(rest=UNFINISHED, as_json=as_json) as progress:
                copied = copy_database(source.engine, target.engine, settings, progress)
        finally:
            source.close()
            target.close()
    _print_result(copied, _shown(target), settings is not None, as_json)
    if service.database_url is None:
        note("Next: write the address that you gave into .env as DATABASE_URL.")
    note(f"The attachments stay in {storage / MEDIA}: keep STORAGE_PATH as it is.")
    note("Then start the server.")


def _asked_for() -> str:
    """Ask for the address: other users of the machine can read a command line."""
    address: Any = click.prompt(
        "Address of the PostgreSQL database (postgresql://user:password@host/database)",
        hide_input=True,
        err=True,
    )
    return str(address).strip()


def _open(address: str, storage: Path) -> Store:
    """Connect to the target. What is wrong with its address is reported without repeating it."""
    try:
        return Store(postgresql(address), storage)
    except ValueError:
        raise click.ClickException(
            "This is no address of a PostgreSQL database. It looks like "
            "postgresql://user:password@host/database; in the password write @ as %40, / as %2F."
        ) from None


def _settings(storage: Path) -> bytes | None:
    """The document of the file in the form of the row. Raises ``SettingsError``."""
    content = SettingsFile(storage / FILE).read()
    if content is None:
        return None
    try:
        return parts().settings.checked(content)
    except SettingsError as error:
        raise SettingsError(f"{FILE} cannot be used: {error} Fix it first.") from None


def _shown(target: Store) -> str:
    """The address without its password."""
    url = target.engine.url.set(drivername="postgresql", query={})
    return url.render_as_string(hide_password=True)


def _print_result(copied: list[Copied], address: str, with_settings: bool, as_json: bool) -> None:
    if as_json:
        tables = [asdict(one) for one in copied]
        document({"target": address, "tables": tables, "message_settings": with_settings})
    else:
        rows = [(one.table, one.rows, one.checksum[:16]) for one in copied]
        table(("TABLE", "ROWS", "CHECKSUM"), rows, "")
        click.echo(f"\nEvery row was copied to {address} and compared.")
    fixed = sum(one.replaced for one in copied)
    if fixed:
        note(f"{fixed} texts had a character that PostgreSQL cannot keep; it is U+FFFD now.")
    if not with_settings:
        note("There were no Message Settings to copy.")
