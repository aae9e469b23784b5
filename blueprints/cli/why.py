"""``flask why``: why a text did not arrive, the next step, and who takes it."""

from dataclasses import asdict
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.short_ids import whole_id
from blueprints.cli.terminal import (
    brief_moment,
    command,
    document,
    escaped,
    facts,
    json_option,
    moment,
    name_time_zone,
    note,
    short,
    table,
)
from services.core.commands import flask_command
from services.core.messages import Message
from services.operations.export import described
from services.operations.verdict_table import Verdict, Who
from services.operations.why import Answer, Matches
from services.store.short_ids import short_id

WHO = {
    Who.YOU: "you",
    Who.CARRIER: "the carrier",
    Who.RECIPIENT: "the recipient",
    Who.NOBODY: "nobody",
}


@command("why")
@click.argument("typed", metavar="ID|NUMBER|WORDS…", nargs=-1, required=True)
@click.option("--ask", is_flag=True, help="Ask the carrier, too, what it knows at this moment.")
@json_option
def why(typed: tuple[str, ...], ask: bool, as_json: bool) -> None:
    """Say why a text did not arrive, what to do, and who has to do it.

    The message is named by its id, by the carrier's id, by a phone number, or by words of its text
    as they stand on a screenshot. Exit code 1 if nothing is found.
    """
    found = parts().why.find(whole_id("message", " ".join(typed)))
    if not found.messages:
        _say_missing(parts().why.nothing_found(found.peer, ask=ask), as_json)
        raise SystemExit(1)
    if len(found.messages) > 1:
        _list(found, as_json)
        return
    [message] = found.messages
    answer = parts().why.answer(message.id, ask=ask)
    if as_json:
        document(_document(message, answer))
        return
    _print_message(message)
    click.echo()
    _print_verdict(answer.verdict)
    for other in answer.also:
        click.echo(f"Also: {escaped(other.sentence)} {escaped(other.next)}")


def _document(message: Message, answer: Answer) -> dict[str, Any]:
    return {
        "message": described(message, parts().media.link, parts().settings.names),
        "verdict": asdict(answer.verdict),
        "also": [asdict(one) for one in answer.also],
    }


def _say_missing(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        document({"message": None, "verdict": asdict(verdict), "also": []})
    else:
        _print_verdict(verdict)


def _list(found: Matches, as_json: bool) -> None:
    if as_json:
        document(
            {
                "matches": [
                    described(one, parts().media.link, parts().settings.names)
                    for one in found.messages
                ],
                "more": found.more,
            }
        )
        return
    table(
        ("ID", "TIME", "", "PEER", "STATUS", "TEXT"),
        [
            (
                short_id(one.id),
                brief_moment(one.created_at),
                "<-" if one.direction == "in" else "->",
                ", ".join(one.participants) or one.peer,
                one.status if one.routed else "unassigned",
                short(one.text),
            )
            for one in found.messages
        ],
        "",
    )
    name_time_zone()
    older = " There are older ones: name the message by more of its words." if found.more else ""
    note(f"Choose one, newest first: {flask_command('why ID')}.{older}")


def _print_message(message: Message) -> None:
    ways = f"{message.peer} -> {message.number}"
    if message.direction == "out":
        ways = f"{message.number} -> {', '.join(message.recipients)}"
    facts(
        (
            ("Message", message.id),
            ("When", moment(message.created_at)),
            ("From, to", ways),
            ("Text", short(message.text)),
        )
    )


def _print_verdict(verdict: Verdict) -> None:
    click.echo(escaped(verdict.sentence))
    facts((("Next step", verdict.next), ("Who", WHO[verdict.who]), ("Code", verdict.code)))
