"""``flask backup``: makes a backup while the server runs."""

from pathlib import Path

import click

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import command, note
from services.store.maintenance.backup import back_up, back_up_database, inspect_backup, is_embedded
from services.store.maintenance.postgres_programs import DUMP, is_installed

UNFINISHED = (
    "There is no new backup. Run the command again: the database is copied anew, and attachments "
    "that were copied are not copied again."
)
UNFINISHED_FILE = "Nothing incomplete was left. Run the command again: it begins anew."
DATABASE_FILES = {".db", ".sqlite", ".sqlite3"}


@command("backup")
@click.argument("target", metavar="FILE-OR-FOLDER", type=click.Path(path_type=Path))
@click.option("--no-dump", is_flag=True, help="PostgreSQL: do not run pg_dump; you do it yourself.")
def backup(target: Path, no_dump: bool) -> None:
    """Copy everything while the server runs.

    Makes a new folder textbridge-YYYYmmdd-HHMMSS below FOLDER with the database (PostgreSQL's own
    by pg_dump, where that is installed), Message Settings, the attachments (but those in a bucket)
    and the key. A FILE whose name ends with .db gets the database alone. Nothing is ever
    overwritten.
    """
    store = parts().store
    if target.suffix in DATABASE_FILES and not target.is_dir():
        if not is_embedded(store.engine):
            raise click.ClickException("The database is PostgreSQL: back it up with pg_dump.")
        with progress_shown(rest=UNFINISHED_FILE) as progress:
            back_up_database(store.engine, target, progress)
        click.echo(f"The database was copied to {target}.")
        return
    storage = parts().environment.service.storage_path.resolve()
    with_dump = not (no_dump or is_embedded(store.engine)) and is_installed("pg_dump")
    with progress_shown(rest=UNFINISHED) as progress:
        made = back_up(store.engine, storage, target, progress, with_dump=with_dump)
    if with_dump:
        click.echo(f"Everything was copied to {made}; the database is in {DUMP}.")
    elif is_embedded(store.engine):
        click.echo(f"Everything was copied to {made}.")
        _check(made)
    else:
        click.echo(f"What is not in PostgreSQL was copied to {made}.")
        address = store.engine.url.set(drivername="postgresql", password=None, query={})
        note(
            "The messages and devices are in PostgreSQL and not in this copy, as pg_dump "
            f"{'was not wanted' if no_dump else 'is not installed here'}. Now run: "
            f"pg_dump --format=custom --no-owner --file={made / DUMP} "
            f"{address.render_as_string()}"
        )
    if parts().environment.bucket is not None:
        note(
            "The attachments in the bucket are not in this copy: the bucket's own versions or "
            "replication protect them."
        )
    note(".env is not in it: keep a copy of it in a safe place, for APP_KEY above all.")


def _check(made: Path) -> None:
    """Print the contents of the copy, read from it. Raises ``StorageUnwell`` for a damaged one."""
    found = inspect_backup(parts().store.engine, made)
    click.echo(
        f"Checked: {found.messages} messages in {found.conversations} conversations, "
        f"{found.devices} devices, {len(found.files)} attachments."
    )
    if found.missing and parts().environment.bucket is None:
        note(f"{len(found.missing)} attachments were not in the storage folder, or not whole.")
