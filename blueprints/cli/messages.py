"""``flask messages``: lists messages, shows one with its timeline, and lists failed jobs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import click

from blueprints.cli.filters import filter_options
from blueprints.cli.parts import parts
from blueprints.cli.short_ids import whole_id
from blueprints.cli.terminal import (
    Group,
    brief_moment,
    document,
    escaped,
    facts,
    json_option,
    moment,
    name_time_zone,
    note,
    stamp,
    table,
)
from services.core.authors import is_address, with_name
from services.core.messages import DeliveryStatus, Message, Status
from services.operations import timeline
from services.operations.export import described
from services.store import contacts, dead_letters
from services.store.jobs import Job
from services.store.search.message_filter import MessageFilter
from services.store.short_ids import short_id

group = Group("messages", help="Messages: list them, look into one, try a failed one again.")


@group.command("list")
@click.option("--unrouted", is_flag=True, help="Only those whose number nobody is set up for.")
@click.option("--dead", is_flag=True, help="What could not be delivered, with the reasons.")
@filter_options
@click.option("--before", type=click.IntRange(1, 2**63 - 1), help="Only older than this “seq”.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many."
)
@json_option
def show_list(
    unrouted: bool, dead: bool, wanted: MessageFilter, before: int | None, limit: int, as_json: bool
) -> None:
    """List messages, the newest first. Times are in APP_TIMEZONE, with --json in UTC.

    ID is the end of the id; other commands take it, too. People are shown by name where contacts
    have one. The table is cut to the width of the terminal; --json has everything.
    """
    if dead:
        if unrouted or before or wanted != MessageFilter():
            raise click.UsageError("--dead goes with --limit and --json only.")
        _list_dead(limit, as_json)
        return
    if unrouted:
        wanted = replace(wanted, unrouted=True)
    found = parts().message_query.page(wanted, limit, before)
    if as_json:
        document(
            [
                described(message, parts().media.link, parts().settings.names)
                for message in found.messages
            ]
        )
    else:
        _print_list(found.messages)
    if found.searched_to is not None:
        note(f"Searched back to {moment(found.searched_to)}. To go on: --before {found.before}")


def _print_list(found: Sequence[Message]) -> None:
    people = {one for message in found for one in (message.peer, *message.participants)}
    names = parts().store.read(partial(contacts.names, numbers=people))
    with_send_time = any(message.status is Status.SCHEDULED for message in found)
    table(
        (
            *("ID", "TIME", "NUMBER", "", "PEER", "STATUS"),
            *(("TO BE SENT",) if with_send_time else ()),
            "TEXT",
        ),
        [
            (
                short_id(message.id),
                brief_moment(message.created_at),
                message.number,
                "<-" if message.direction == "in" else "->",
                ", ".join(names.get(one, one) for one in message.participants or (message.peer,)),
                str(message.status) if message.routed else "unassigned",
                *((_send_time(message),) if with_send_time else ()),
                _content(message),
            )
            for message in found
        ],
        "No message.",
    )
    if found:
        name_time_zone()


def _content(message: Message) -> str:
    """The text of a message after the number of its files."""
    count = len(message.media)
    files = f"[{count} {'file' if count == 1 else 'files'}]" if count else ""
    return f"{files} {message.text}".strip()


def _send_time(message: Message) -> str:
    """When a scheduled message is sent, and why later than it was asked for, if it is."""
    if message.status is not Status.SCHEDULED:
        return "-"
    return f"{brief_moment(message.send_at)} {message.waits_because or ''}".rstrip()


@group.command()
@click.argument("message_id", metavar="ID")
@json_option
def show(message_id: str, as_json: bool) -> None:
    """Show one message: its text, and all that became of it, with every attempt and answer."""
    known = timeline.load(parts().store, whole_id("message", message_id))
    steps = timeline.steps(parts().settings, known)
    if as_json:
        document(
            described(known.message, parts().media.link, parts().settings.names)
            | {
                "jobs": [_job(job) for job in known.jobs],
                "receipts": [_receipt(receipt) for _, receipt in known.receipts],
                "timeline": [_step(step) for step in steps],
            }
        )
        return
    _print_message(known.message)
    click.echo()
    table(
        ("TIME", "WHAT", "CODE", "ANSWER", "JOB"),
        [
            (
                moment(step.at),
                step.title,
                step.code or "-",
                step.said or "-",
                step.job.id if step.job else "-",
            )
            for step in steps
        ],
        "Nothing is known of it.",
        cut=False,
    )


def _list_dead(limit: int, as_json: bool) -> None:
    letters = parts().store.read(lambda tx: dead_letters.newest(tx, limit))
    if as_json:
        document([_job(job) for job in letters])
        return
    table(
        ("ID", "JOB", "KIND", "TO", "ATTEMPTS", "REASON"),
        [
            (
                short_id(job.message_id),
                job.id,
                job.kind,
                job.target or "-",
                job.attempts,
                job.error or "-",
            )
            for job in letters
        ],
        "Everything was delivered.",
    )


def _print_message(message: Message) -> None:
    outbound = message.direction == "out"
    error = " ".join(part for part in (message.error_code, message.error_reason) if part)
    setting = parts().settings.for_number(message.number)
    # Where a rule has decided, the number's entry does not say who got it.
    by_entry = setting if message.rule is None else None
    is_mail = outbound and message.extension is not None and is_address(message.extension)
    later, waits = message.send_at is not None, message.status is Status.SCHEDULED
    receivers = by_entry.extensions if by_entry else ()
    authors = [message.extension or ""] if outbound else receivers
    extensions = ", ".join(with_name(one, parts().settings.names) for one in authors)
    facts(
        (
            ("Message", message.id),
            ("Direction", "outbound" if outbound else "inbound"),
            ("Number", message.number),
            ("Peer", ", ".join(message.participants) or message.peer),
            ("Sent by" if is_mail else "Extension", extensions),
            ("Status", message.status if message.routed else "unassigned"),
            ("To be sent" if waits else "Scheduled", moment(message.send_at) if later else ""),
            ("Waits because", message.waits_because or ""),
            ("Rule", message.rule or ""),
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
        click.echo(f"  {escaped(line)}")


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
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


def _receipt(receipt: DeliveryStatus) -> dict[str, Any]:
    return {
        "event": receipt.event,
        "status": str(receipt.status),
        "peer": receipt.peer,
        "code": receipt.code,
        "reason": receipt.reason,
        "at": stamp(receipt.at),
    }


def _step(step: timeline.Step) -> dict[str, Any]:
    return {
        "at": stamp(step.at),
        "title": step.title,
        "tone": step.tone,
        "said": step.said,
        "code": step.code,
        "job": step.job.id if step.job else None,
    }
