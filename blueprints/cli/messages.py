"""``flask messages``: what came in and went out, what was given up and why, and trying again."""

from functools import partial
from typing import Any

import click

from blueprints.cli.terminal import (
    Group,
    document,
    facts,
    gateway,
    harmless,
    json_option,
    moment,
    short,
    stamp,
    table,
)
from services.errors import RequestRefused
from services.messages import DeliveryStatus, Message, Status, message_object
from services.phone_numbers import e164, peer
from services.store import jobs, messages, receipts, search
from services.store.jobs import Job

group = Group("messages", help="Messages: list them, look into one, try a failed one again.")
Found = tuple[Message, list[Job], list[DeliveryStatus]]


@group.command("list")
@click.option("--unrouted", is_flag=True, help="Only those whose number nobody is set up for.")
@click.option("--dead", is_flag=True, help="What was given up, with the reasons.")
@click.option("--status", type=click.Choice([str(s) for s in Status]), help="Only in this state.")
@click.option("--number", help="Only of this number of yours.")
@click.option("--peer", "other", help="Only with this number of somebody else.")
@click.option("--text", help="Only with these words; the last may be the beginning of one.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many."
)
@json_option
def show_list(
    unrouted: bool,
    dead: bool,
    status: str | None,
    number: str | None,
    other: str | None,
    text: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List messages, the newest first. Times are in UTC."""
    if dead:
        if unrouted or status or number or other or text is not None:
            raise click.UsageError("--dead goes with --limit and --json only.")
        _list_dead(limit, as_json)
        return
    country = gateway().country
    own = e164(number, country) if number else None
    if text is not None:
        if unrouted or status or other:
            raise click.UsageError("--text goes with --number, --limit and --json only.")
        numbers = None if own is None else [own]
        found = _with_words(text, numbers, limit)
    else:
        found = gateway().store.read(
            partial(
                messages.find,
                limit=limit,
                number=own,
                peer=peer(other, country) if other else None,
                status=status,
                unrouted=unrouted,
            )
        )
    if as_json:
        document([_described(message) for message in found])
        return
    table(
        ("ID", "TIME", "NUMBER", "", "PEER", "STATUS", "FILES", "TEXT"),
        [
            (
                message.id,
                moment(message.created_at),
                message.number,
                "<-" if message.direction == "in" else "->",
                ", ".join(message.participants) or message.peer,
                str(message.status) if message.routed else "unrouted",
                len(message.media) or "-",
                short(message.text),
            )
            for message in found
        ],
        "No message.",
    )


@group.command()
@click.argument("message_id", metavar="ID")
@json_option
def show(message_id: str, as_json: bool) -> None:
    """Show one message: its text, every attempt to deliver it, and the delivery receipts."""
    message, todo, told = _found(message_id)
    if as_json:
        document(
            _described(message)
            | {"jobs": [_job(job) for job in todo], "receipts": [_receipt(r) for r in told]}
        )
        return
    _print_message(message)
    click.echo()
    table(
        ("JOB", "TO", "STATE", "ATTEMPTS", "DUE", "ERROR"),
        [
            (job.kind, job.target or "-", job.state, job.attempts, _due(job), job.error or "-")
            for job in todo
        ],
        "Nothing had to be done for it.",
    )
    if message.direction == "out":
        click.echo()
        table(
            ("RECEIPT", "TIME", "PEER", "STATUS", "CODE", "REASON"),
            [
                (r.event, moment(r.at), r.peer or "-", r.status, r.code or "-", r.reason or "-")
                for r in told
            ],
            "No delivery receipt yet.",
        )


@group.command()
@click.argument("message_id", metavar="ID")
@click.option(
    "--resend-unknown",
    is_flag=True,
    help="Send it again even if it may have been sent: ask the carrier first.",
)
def retry(message_id: str, resend_unknown: bool) -> None:
    """Do again what was given up for message ID (see: flask messages list --dead)."""
    try:
        revived = gateway().retry(message_id, resend_unknown=resend_unknown)
    except RequestRefused as error:
        if error.code != "may_have_been_sent":
            raise
        raise click.ClickException(f"{error} To do so: --resend-unknown") from None
    for job in revived:
        click.echo(harmless(f"Due again: {job.kind} {job.target}".rstrip()))
    if not revived:
        click.echo("Nothing was given up for this message.")


def _with_words(typed: str, numbers: list[str] | None, limit: int) -> list[Message]:
    """The newest with these words, however far back."""
    found: list[Message] = []
    before = None
    while True:
        look = partial(
            search.find, typed=typed, numbers=numbers, limit=limit - len(found), before=before
        )
        page = gateway().store.read(look)
        found += page.messages
        before = page.before
        if before is None or len(found) >= limit:
            return found


def _list_dead(limit: int, as_json: bool) -> None:
    letters = gateway().store.read(lambda tx: jobs.dead(tx, limit))
    if as_json:
        document([_job(job) for job in letters])
        return
    table(
        ("MESSAGE", "JOB", "TO", "ATTEMPTS", "REASON"),
        [
            (job.message_id, job.kind, job.target or "-", job.attempts, job.error or "-")
            for job in letters
        ],
        "Nothing was given up.",
    )


def _found(message_id: str) -> Found:
    """A message with its jobs and receipts, all of one moment. Raises ``RequestRefused``."""
    message, todo, told = gateway().store.read(
        lambda tx: (
            messages.by_id(tx, message_id),
            jobs.of(tx, message_id),
            receipts.of(tx, message_id),
        )
    )
    if message is None:
        raise RequestRefused(
            "not_found", f"There is no message {message_id}. See: flask messages list", status=404
        )
    return message, todo, told


def _print_message(message: Message) -> None:
    outbound = message.direction == "out"
    error = " ".join(part for part in (message.error_code, message.error_reason) if part)
    setting = gateway().settings.for_number(message.number)
    extensions = ", ".join(setting.extensions) if setting else ""
    facts(
        (
            ("Message", message.id),
            ("Direction", "outbound" if outbound else "inbound"),
            ("Number", message.number),
            ("Peer", ", ".join(message.participants) or message.peer),
            ("Extension", message.extension if outbound else extensions),
            ("Status", message.status if message.routed else "unrouted"),
            ("Error", error),
            ("Carrier", message.provider),
            ("Carrier's id", message.provider_id),
            ("Segments", message.segments),
            ("Created", moment(message.created_at)),
            ("Updated", moment(message.updated_at)),
        )
    )
    for file in message.media:
        reason = f", {file.reason}" if file.reason else ""
        state = f"{file.content_type}, {file.size} bytes, {file.state}{reason}"
        facts((("File", f"{file.id} {file.name} ({state})"),))
    for line in message.text.splitlines():
        click.echo(f"  {harmless(line)}")


def _described(message: Message) -> dict[str, Any]:
    """The message as the REST API shows it, with what only the operator sees."""
    return message_object(message, gateway().media.link) | {
        "number": message.number,
        "carrier": message.provider,
        "provider_id": message.provider_id,
        "routed": message.routed,
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "message_id": job.message_id,
        "kind": str(job.kind),
        "target": job.target,
        "about": job.about,
        "destination": job.destination,
        "state": job.state,
        "attempts": job.attempts,
        "error": job.error,
        "due": stamp(job.due),
        "created_at": stamp(job.created_at),
    }


def _receipt(told: DeliveryStatus) -> dict[str, Any]:
    return {
        "event": told.event,
        "status": str(told.status),
        "peer": told.peer,
        "code": told.code,
        "reason": told.reason,
        "at": stamp(told.at),
    }


def _due(job: Job) -> str:
    return moment(job.due) if job.state == "due" else "-"
