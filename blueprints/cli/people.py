"""``flask people``: exports or deletes what is kept of one person."""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import Group, document, facts, json_option, moment, note
from services.config.storage_layout import MEDIA
from services.core.errors import MediaError
from services.core.messages import Attachment, WebhookCall, message_object
from services.core.phone_numbers import addresses_of, known_as, requested
from services.operations.opt_out_register import COLUMNS, row_of
from services.operations.retention import Person
from services.store import (
    blocked_senders,
    bulk_sends,
    contacts,
    inbox,
    messages,
    opt_outs,
    quarantine,
)
from services.store.maintenance import people

REPEATED_SECONDS = 86_400.0  # how long carriers repeat webhooks and list inbound messages
group = Group("people", help="People outside: what is kept of one, and deleting it.")


@group.command()
@click.argument("number")
@click.argument("folder", type=click.Path(path_type=Path))
def export(number: str, folder: Path) -> None:
    """Write everything that is kept of NUMBER into the new FOLDER.

    person.json holds name and note, the messages, the opt-outs with their proofs, where bulk sends
    left the person out, and carrier messages that are unreadable or not processed yet; files are
    below media/. Of group conversations it has what this person wrote, and what was sent or is
    scheduled to them.
    """
    them = requested(known_as, number, parts().country)
    known = parts().retention.person(them)
    folder.mkdir(mode=0o700, parents=True)
    written = _written(known.messages, folder / MEDIA)
    to_groups = parts().store.read(partial(people.sent_to_groups, peer=them))
    calls = [parts().store.read(partial(quarantine.by_id, row_id=id)) for id in known.quarantined]
    waiting = parts().store.read(partial(inbox.by_ids, ids=known.inbox))
    consent = parts().store.read(partial(opt_outs.of, peer=them))
    left_out = parts().store.read(partial(bulk_sends.left_out_of, addresses=addresses_of(them)))
    blocks = parts().store.read(blocked_senders.every)
    contact = parts().store.read(partial(contacts.of, numbers=[them])).get(them)
    content = {
        "number": them,
        "name": contact.name if contact is not None else None,
        "note": contact.note if contact is not None else None,
        "messages": written,
        "sent_to_groups": _written(to_groups, folder / MEDIA),
        "quarantine": [_call(call.provider, call.call()) for call in calls if call is not None],
        "inbox": [_call(row.provider, row.call) for row in waiting],
        "opt_outs": [dict(zip(COLUMNS, row_of(one), strict=True)) for one in consent],
        "left_out_of_bulk_sends": [
            {"name": name, "code": one.code, "reason": one.reason} for name, one in left_out
        ],
        "blocked_for": [one.number for one in blocks if one.peer == them],
    }
    file = folder / "person.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    click.echo(f"{len(written)} messages were written to {folder}.")


def _call(carrier: str, call: WebhookCall) -> dict[str, str]:
    return {"carrier": carrier, "query": call.query, "body": call.body.decode(errors="replace")}


@group.command()
@click.argument("number")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def forget(number: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete for good what is kept of NUMBER.

    That is every message to and from it, with files; what it wrote in groups; its name and note;
    unreadable carrier messages that name it. What others wrote in the same groups stays; what is
    scheduled to these groups is cancelled. If the person has opted out, that stays without the
    number (as an HMAC), so that nobody texts them again. Exit code 1 if something had to stay
    because it is still being processed or delivered.
    """
    them = requested(known_as, number, parts().country)
    known = parts().retention.person(them)
    if as_json:
        document(_counts(them, known))
    else:
        _print_counts(them, known)
    if dry_run:
        return
    if not yes:
        click.confirm("Delete this for good?", abort=True, err=True)
    young = _young(known)
    removed = parts().retention.forget(them, known)
    click.echo(f"{removed} messages were deleted.", err=True)
    _warn(young)
    if kept := parts().store.read(partial(opt_outs.of, peer=them)):
        since = ", ".join(f"{one.number} since {moment(one.at)}" for one in kept)
        note(f"That they have opted out stays, as an HMAC instead of the number: {since}.")
    left = parts().retention.person(them)
    if left.messages:
        note(
            f"{len(left.messages)} messages are still being delivered and stay: run this again in "
            "a while."
        )
    if left.inbox:
        note(
            f"{len(left.inbox)} webhooks that name this number are not processed yet and stay: run "
            "this again when the delivery worker has processed them."
        )
    if left.messages or left.inbox:
        raise SystemExit(1)


def _warn(young: bool) -> None:
    if not parts().store.rewrite_files():
        note("SQLite's log was in use and still has it until Textbridge is restarted.")
    if young:
        note(
            "The newest message is less than a day old, and carriers may tell of it again: run "
            "this again tomorrow."
        )
    note("Backups and the carriers still have it, and so may the apps of your extensions.")


def _young(known: Person) -> bool:
    newest = parts().store.read(partial(messages.by_seq, seqs=list(known.messages[-1:])))
    return any(time.time() - one.created_at < REPEATED_SECONDS for one in newest.values())


def _counts(them: str, known: Person) -> dict[str, Any]:
    return {
        "number": them,
        "messages": len(known.messages),
        "waiting": known.waiting,
        "groups": known.groups,
        "scheduled_to_groups": known.scheduled,
        "quarantined": len(known.quarantined),
        "inbox": len(known.inbox),
    }


def _print_counts(them: str, known: Person) -> None:
    facts(
        (
            ("Number", them),
            ("Messages", len(known.messages)),
            ("  must wait", f"{known.waiting} with something still to be done"),
            ("Groups", f"{known.groups} with others, whose own messages stay"),
            ("  scheduled", f"{known.scheduled} texts to them, which are cancelled"),
            ("Unreadable carrier messages", len(known.quarantined)),
            ("Inbox", len(known.inbox)),
        )
    )


def _written(seqs: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """Messages as the REST API shows them, with names in ``folder`` in place of links to files."""
    written = []
    for seq in seqs:
        found = parts().store.read(partial(messages.by_seq, seqs=[seq]))
        written += [
            message_object(message, partial(_file, folder=folder)) for message in found.values()
        ]
    return written


def _file(file: Attachment, *, folder: Path, thumbnail: bool = False) -> str:
    if thumbnail:
        return ""
    try:
        content = parts().media.open(file.id).read_bytes()
    except MediaError:
        note(f"The file {file.name} ({file.id}) is not there.")
        return ""
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / (file.id + Path(file.name).suffix[:10])
    target.touch(mode=0o600)
    target.write_bytes(content)
    return f"media/{target.name}"
