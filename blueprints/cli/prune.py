"""``flask messages prune``: counts or deletes messages and files above an age."""

import re
import time
from dataclasses import asdict

import click

from blueprints.cli.parts import parts
from blueprints.cli.progress import progress_shown
from blueprints.cli.terminal import command, document, facts, json_option, moment
from services.core.durations import DAY
from services.core.progress import Progress
from services.operations.retention import PAUSE_SECONDS, Ages
from services.store.maintenance.pruning import Outdated

UNFINISHED = "What was deleted stays so. Run the command again: it goes on from there."
_DAYS = re.compile(r"([0-9]{1,5})d?", re.ASCII)


def _days(value: str) -> int:
    """An age in days: ``365d`` or ``365``."""
    written = _DAYS.fullmatch(value)
    if written is None or not int(written[1]):
        raise click.BadParameter(f"“{value}” is no age. Write it in days, such as 365d.")
    return int(written[1])


@command("prune")
@click.option("--older-than", type=_days, metavar="DAYS", help="Messages of this age: 365d.")
@click.option("--media-older-than", type=_days, metavar="DAYS", help="Only files of this age.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def prune(
    older_than: int | None, media_older_than: int | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Delete old messages for good, with all that belongs to them, or only their files.

    Without an age those of KEEP_MESSAGES_DAYS and KEEP_MEDIA_DAYS count; the delivery worker does
    the same by itself. What something is still to be done for stays.
    """
    if as_json and not (yes or dry_run):
        raise click.UsageError("With --json add --dry-run or --yes: it asks nothing.")
    ages = _ages(older_than, media_older_than)
    found = parts().retention.outdated(ages)
    if not as_json:
        _print_counts(found, ages)
    if not dry_run:
        if not yes:
            click.confirm("Delete this for good?", abort=True, err=True)
        with progress_shown(rest=UNFINISHED, as_json=as_json) as progress:
            _prune(ages, found, progress)
    if as_json:
        document(asdict(found))
    elif not dry_run:
        click.echo("Deleted.", err=True)


def _prune(ages: Ages, found: Outdated, progress: Progress) -> None:
    """Delete batch after batch; where messages go, their files are not counted."""
    done = 0
    counts_files = ages.messages is None
    total = found.files if counts_files else found.messages
    what = "files deleted" if counts_files else "messages deleted"
    while True:
        batch = parts().retention.prune(ages)
        done += batch.files if counts_files else batch.messages
        progress(what, done, max(total, done))
        if not batch.more:
            return
        time.sleep(PAUSE_SECONDS)


def _ages(messages: int | None, files: int | None) -> Ages:
    if messages is None and files is None:
        ages = parts().retention.ages()
        if ages == Ages():
            raise click.UsageError(
                "Say --older-than or --media-older-than, or set KEEP_MESSAGES_DAYS or "
                "KEEP_MEDIA_DAYS in .env."
            )
        return ages
    now = time.time()
    return Ages(
        None if messages is None else now - messages * DAY,
        None if files is None else now - files * DAY,
    )


def _print_counts(found: Outdated, ages: Ages) -> None:
    if ages.messages is not None:
        facts(
            (
                ("Older than", moment(ages.messages)),
                ("Messages", found.messages),
                ("  could not be delivered", found.given_up),
                ("  unassigned", found.unrouted),
                ("Conversations", found.conversations),
                ("Unreadable carrier messages", found.quarantined),
                ("Must wait", f"{found.waiting} messages with something still to be done"),
            )
        )
    if ages.files is not None:
        facts((("Files before", moment(ages.files)),))
    facts((("Files", found.files), ("Bytes", found.bytes)))
