"""``flask messages export``: exports the chosen messages as CSV or JSON."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from blueprints.cli.filters import filter_options
from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import command
from services.core.messages import Message
from services.core.progress import Progress
from services.operations.export import as_csv, as_json
from services.store.search.message_filter import MessageFilter

UNFINISHED = (
    "No file was written, and one that was there is as it was. Run the command again: it begins "
    "anew."
)
UNFINISHED_OUTPUT = "What was written is not whole. Run the command again: it begins anew."


@command("export")
@click.argument(
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
)
@filter_options
@click.option("--json", "in_json", is_flag=True, help="JSON instead of CSV.")
def export(target: Path, wanted: MessageFilter, in_json: bool) -> None:
    """Write messages into a CSV file, the newest first (“-”: standard output).

    No cell is taken for a formula by a spreadsheet. Only you can read the file, also where it
    belonged to another user. It is put in its place when it is whole; a link stays one.
    """
    names = parts().settings.names
    is_stream = str(target) == "-" or (target.exists() and not target.is_file())
    rest = UNFINISHED_OUTPUT if is_stream else UNFINISHED
    opened = click.open_file(str(target), "w", "utf-8") if is_stream else _replaced(target)
    with progress_shown(rest=rest) as progress, opened as file:
        found = _counted(parts().message_query.everything(wanted), progress)
        pieces = as_json(found, parts().media.link, names) if in_json else as_csv(found, names)
        for piece in pieces:
            file.write(piece)


def _counted(found: Iterator[Message], progress: Progress) -> Iterator[Message]:
    for count, message in enumerate(found, start=1):
        yield message
        progress("messages", count, None)


@contextmanager
def _replaced(target: Path) -> Iterator[TextIO]:
    """A file that takes the place of ``target`` when the block has succeeded."""
    path = target.resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:  # names the folder, not a file that nobody has typed
            raise OSError(error.errno, error.strerror, str(path.parent)) from error
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(handle)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
