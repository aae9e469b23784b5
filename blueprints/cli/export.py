"""``flask messages export``: exports the chosen messages as CSV or JSON."""

from collections.abc import Iterator
from typing import TextIO

import click

from blueprints.cli.filters import filter_options
from blueprints.cli.parts import parts
from blueprints.cli.private_file import close_to_others
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import command
from services.core.messages import Message
from services.core.progress import Progress
from services.operations.export import as_csv, as_json
from services.store.search.message_filter import MessageFilter

UNFINISHED = "The file is not whole. Run the command again: it begins anew."


@command("export")
@click.argument("target", metavar="FILE", type=click.File("w", encoding="utf-8", lazy=True))
@filter_options
@click.option("--json", "in_json", is_flag=True, help="JSON instead of CSV.")
def export(target: TextIO, wanted: MessageFilter, in_json: bool) -> None:
    """Write messages into a CSV file, the newest first (“-”: standard output).

    No cell is taken for a formula by a spreadsheet. Only you can read the file.
    """
    if target.name != "-":
        close_to_others(target)
    names = parts().settings.names
    with progress_shown(rest=UNFINISHED) as progress:
        found = _counted(parts().message_query.everything(wanted), progress)
        pieces = as_json(found, parts().media.link, names) if in_json else as_csv(found, names)
        for piece in pieces:
            target.write(piece)


def _counted(found: Iterator[Message], progress: Progress) -> Iterator[Message]:
    for count, message in enumerate(found, start=1):
        yield message
        progress("messages", count, None)
