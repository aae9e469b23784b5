"""``flask restore``: restores a backup into an empty installation."""

from pathlib import Path

import click

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.storage_lock import storage_lock
from blueprints.cli.terminal import command, note
from services.core.commands import flask_command
from services.operations.restore import Restored
from services.store.maintenance.backup import is_embedded

UNFINISHED = (
    "The database is as it was. Run the command again: attachments that are back are not copied "
    "again."
)
MOST_NAMED = 20  # cancelled texts


@command("restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
def put_back(folder: Path, yes: bool) -> None:
    """Put back the backup in FOLDER, with the server stopped.

    The backup is checked first. Nothing is overwritten: it goes into a STORAGE_PATH that keeps
    nothing yet. With PostgreSQL run pg_restore first, then this for the attachments and for what
    was under way. Texts that waited to be sent become unknown, as they may have been sent since.
    Texts that are scheduled for later are cancelled: schedule again what is still to be sent.
    """
    storage = parts().environment.service.storage_path.resolve()
    embedded = is_embedded(parts().store.engine)
    if not embedded and not yes:
        click.confirm("Has pg_restore just put the database back?", abort=True, err=True)
    with storage_lock(storage):
        restore = parts().restore
        with progress_shown(rest=UNFINISHED) as progress:
            put = restore.into_sqlite if embedded else restore.beside_postgresql
            made = put(folder, progress)
    _print_result(made)
    if parts().environment.bucket is not None:
        note("The attachments in the bucket are as they were: they are in no backup.")
    note(
        "Devices that were revoked and people who were forgotten since the backup are back: revoke "
        "and forget them again. Then start the server."
    )


def _print_result(made: Restored) -> None:
    known = made.contents
    if known is not None:
        click.echo(
            f"Put back: {known.messages} messages in {known.conversations} conversations, "
            f"{known.devices} devices."
        )
        if known.missing:
            note(f"{len(known.missing)} attachments were not in the backup, or not whole.")
    click.echo(f"{made.files} attachments were copied.")
    click.echo(
        f"{made.unknown} texts waited to be sent and are unknown now; "
        f"{flask_command('messages list --status unknown')} shows them. "
        "Everything else that was due goes out at the start."
    )
    if made.cancelled:
        click.echo(
            f"{len(made.cancelled)} texts were scheduled for later and are cancelled now, as they "
            "may have been sent or cancelled since. Schedule again what is still to be sent; "
            f"{flask_command('messages list --status cancelled')} shows them:"
        )
        for message_id in made.cancelled[:MOST_NAMED]:
            click.echo(f"  {message_id}")
        if more := len(made.cancelled[MOST_NAMED:]):
            click.echo(f"  and {more} more")
