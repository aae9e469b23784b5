"""``flask quarantine``: lists, replays and drops webhooks that could not be read."""

from functools import partial

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import (
    Group,
    brief_moment,
    document,
    escaped,
    facts,
    json_option,
    moment,
    name_time_zone,
    short,
    stamp,
    table,
)
from services.core.commands import flask_command
from services.core.errors import RequestRefused
from services.store import quarantine

group = Group("quarantine", help="Unreadable carrier messages.")
MOST = 1000
ROW_ID = click.IntRange(1, 2**63 - 1)


@group.command("list")
@json_option
def show_list(as_json: bool) -> None:
    """List unreadable carrier messages, the oldest first (at most 1000)."""
    rows = parts().store.read(lambda tx: quarantine.waiting(tx, MOST))
    if as_json:
        document(
            [
                {
                    "id": row.id,
                    "carrier": row.provider,
                    "received_at": stamp(row.received_at),
                    "reason": row.reason,
                    "body": row.body.decode("utf-8", "replace"),
                }
                for row in rows
            ]
        )
        return
    table(
        ("ID", "CARRIER", "RECEIVED", "BYTES", "REASON"),
        [
            (row.id, row.provider, brief_moment(row.received_at), len(row.body), short(row.reason))
            for row in rows
        ],
        "No unreadable carrier messages.",
    )
    if rows:
        name_time_zone()


@group.command()
@click.argument("call_id", metavar="ID", type=ROW_ID)
def show(call_id: int) -> None:
    """Show call ID: why it could not be read, and what it said."""
    row = parts().store.read(lambda tx: quarantine.by_id(tx, call_id))
    if row is None:
        raise RequestRefused(
            "not_found",
            f"There is no call {call_id}. See: {flask_command('quarantine list')}",
            status=404,
        )
    facts(
        (
            ("Call", row.id),
            ("Carrier", row.provider),
            ("Received", moment(row.received_at)),
            ("Read again", moment(row.replayed_at)),
            ("Reason", row.reason),
            ("Content type", row.headers.get("content-type")),
            ("Query", row.query),
        )
    )
    click.echo()
    click.echo(escaped(row.body.decode("utf-8", "replace"), keep="\n\t"))


@group.command()
@click.argument("call_id", metavar="ID", type=ROW_ID)
@click.option("--yes", is_flag=True, help="Do not ask first.")
def drop(call_id: int, yes: bool) -> None:
    """Forget call ID for good: what it said is lost."""
    if not yes:
        click.confirm(f"Forget call {call_id} for good?", abort=True)
    parts().operator_actions.drop(call_id)
    click.echo(f"{call_id}: dropped.")


@group.command()
@click.argument("call_id", metavar="[ID]", type=ROW_ID, required=False)
@click.option("--all", "everything", is_flag=True, help="Read all of them again.")
def replay(call_id: int | None, everything: bool) -> None:
    """Read call ID again, for instance after an update that understands it.

    What can be read now is kept and delivered as if it had just come in. Exit code 1 if something
    still cannot be read.
    """
    if everything == (call_id is not None):
        raise click.UsageError("Give the ID of one call, or --all.")
    if call_id is not None:
        _replay(call_id)
        return
    rows = parts().store.read(partial(quarantine.waiting, limit=MOST))
    failed = sum(not _tried(row.id) for row in rows)
    click.echo(f"{len(rows) - failed} of {len(rows)} could be read.")
    raise SystemExit(1 if failed else 0)


def _replay(call_id: int) -> None:
    outcomes = [outcome for outcome, _ in parts().replay.replay(call_id)]
    click.echo(f"{call_id}: {', '.join(outcomes) or 'nothing in it concerns a message'}")


def _tried(call_id: int) -> bool:
    try:
        _replay(call_id)
    except RequestRefused as error:
        click.echo(f"{call_id}: {escaped(str(error))}", err=True)
        return False
    return True
