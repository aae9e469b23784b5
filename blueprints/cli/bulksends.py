"""``flask bulksends``: bulk sends listed, shown with their results, cancelled."""

import click
from sqlalchemy import Connection

from blueprints.cli.extensions import numbered
from blueprints.cli.parts import parts
from blueprints.cli.short_ids import whole_id
from blueprints.cli.terminal import (
    Group,
    brief_moment,
    document,
    facts,
    json_option,
    moment,
    name_time_zone,
    note,
    stamp,
    table,
)
from services.core.authors import with_name
from services.core.messages import Status
from services.messaging.bulk_sending import ADMINISTRATOR, bulk_send_of
from services.store import bulk_sends
from services.store.bulk_sends import BulkSend
from services.store.short_ids import short_id

MOST = 1000
group = Group("bulksends", help="Bulk sends: one text to a set of recipients, each by themselves.")


@group.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List bulk sends, the newest first (at most 1000)."""

    def work(tx: Connection) -> tuple[list[BulkSend], dict[str, dict[Status, int]]]:
        found = bulk_sends.page(tx, limit=MOST)
        return found, bulk_sends.counts(tx, [one.id for one in found])

    found, counts = parts().store.read(work)
    if as_json:
        document([_object(one, counts[one.id]) for one in found])
        return
    table(
        ("ID", "NAME", "EXTENSION", "NUMBER", "TIME", "RECIPIENTS", "STATES"),
        [
            (
                short_id(one.id),
                one.name,
                numbered(one.extension),
                one.number,
                brief_moment(one.send_at),
                one.recipients,
                _words(counts[one.id]),
            )
            for one in found
        ],
        "There is no bulk send.",
    )
    if found:
        name_time_zone()


@group.command()
@click.argument("bulk_send_id", metavar="ID")
@click.option(
    "--state",
    type=click.Choice([str(status) for status in Status if status is not Status.RECEIVED]),
    help="Only texts in this state.",
)
@json_option
def show(bulk_send_id: str, state: str | None, as_json: bool) -> None:
    """Show a bulk send: its counts, its texts, and who is left out."""
    bulk_send_id = whole_id("bulk send", bulk_send_id)
    store, status = parts().store, Status(state) if state else None
    known = store.read(lambda tx: bulk_send_of(tx, bulk_send_id))
    counts = store.read(lambda tx: bulk_sends.counts(tx, [known.id]))[known.id]
    texts = store.read(lambda tx: bulk_sends.texts(tx, known.id, status=status))
    left_out = store.read(lambda tx: bulk_sends.left_out(tx, known.id))
    rows = [
        (one.peer, str(one.status), one.error_code, one.error_reason or one.waits_because, one.id)
        for one in texts
    ]
    rows += [(one.number, "left_out", one.code, one.reason, "") for one in left_out]
    if as_json:
        names = ("number", "state", "code", "reason", "message_id")
        listed = [dict(zip(names, row, strict=True)) for row in rows]
        document(_object(known, counts) | {"rows": listed})
        return
    facts(
        (
            ("Name", known.name),
            (
                "Sent from",
                f"{known.number}, extension {with_name(known.extension, parts().settings.names)}",
            ),
            ("Made by", f"{known.made_by}, {moment(known.created_at)}"),
            ("Time", moment(known.send_at)),
            ("Cancelled", moment(known.cancelled_at) if known.cancelled_at else None),
            ("Text", known.text),
            ("Recipients", f"{known.recipients}: {_words(counts)}"),
        )
    )
    table(
        ("NUMBER", "STATE", "REASON", "ID"),
        [
            (number, state, reason or "", short_id(message))
            for number, state, _, reason, message in rows
        ],
        "No texts.",
        cut=False,
    )


@group.command()
@click.argument("bulk_send_id", metavar="ID")
def cancel(bulk_send_id: str) -> None:
    """Cancel the texts of a bulk send that still wait."""
    known = parts().bulk_sending.cancel(whole_id("bulk send", bulk_send_id), None, ADMINISTRATOR)
    counts = parts().store.read(lambda tx: bulk_sends.counts(tx, [known.id]))[known.id]
    click.echo(_words(counts))
    if counts.get(Status.QUEUED) or counts.get(Status.SENDING):
        note("What was on its way is still sent.")


def _words(counts: dict[Status, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _object(one: BulkSend, counts: dict[Status, int]) -> dict[str, object]:
    return {
        "id": one.id,
        "name": one.name,
        "extension": one.extension,
        "number": one.number,
        "text": one.text,
        "made_by": one.made_by,
        "send_at": stamp(one.send_at),
        "created_at": stamp(one.created_at),
        "cancelled_at": stamp(one.cancelled_at),
        "recipients": one.recipients,
        "counts": {str(status): count for status, count in counts.items()},
    }
