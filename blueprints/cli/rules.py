"""``flask rules``: lists the rules of Message Settings, and tries them with a text."""

from collections.abc import Sequence
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import (
    Group,
    document,
    escaped,
    facts,
    json_option,
    moment,
    note,
    note_rule_warnings,
    stamp,
    table,
)
from services.message_settings.rules import InboundRule, OutboundRule
from services.operations.rule_trial import Trial

group = Group("rules", help="Rules of Message Settings: list them, and try them with a text.")


@group.command("list")
@json_option
def show(as_json: bool) -> None:
    """List the inbound rules in their order, then the outbound ones."""
    settings = parts().settings
    rules, problem = settings.rules, settings.problem
    if problem is not None:
        note(f"{problem} These are the last good rules.")
    if as_json:
        document({**settings.rule_sections, "warnings": parts().rule_warnings.all()})
        return
    note_rule_warnings()
    table(
        ("RULE", "TO", "FROM", "KEYWORDS", "WHEN", "DELIVERS TO", "REPLY", "THEN"),
        [_inbound(rule) for rule in rules.inbound],
        "No inbound rule: the extensions and addresses of a number get its texts.",
    )
    if rules.outbound:
        click.echo()
        table(
            ("OUTBOUND RULE", "EXTENSIONS", "TO", "LEAVES BY"),
            [_outbound(rule) for rule in rules.outbound],
            "",
        )


def _inbound(rule: InboundRule) -> tuple[str, ...]:
    return (
        rule.name,
        _several(rule.to),
        _several(rule.senders),
        _several(rule.keywords),
        f"{rule.when[0]} {rule.when[1]}" if rule.when else "-",
        _several(receivers(rule)) if rule.delivers else "as the number",
        "yes" if rule.reply else "-",
        "continues" if rule.continues else "ends",
    )


def _outbound(rule: OutboundRule) -> tuple[str, ...]:
    return rule.name, _several(rule.extensions), _several(rule.to), _several(rule.numbers)


def receivers(rule: InboundRule) -> list[str]:
    """To whom a rule delivers, as it is written."""
    group_name = [f"group {rule.group.name}"] if rule.group is not None else []
    return [*group_name, *rule.extensions, *rule.emails]


def _several(items: Any) -> str:
    some = list(items)
    return f"{', '.join(some[:3])}, … ({len(some)})" if len(some) > 3 else ", ".join(some) or "-"


@group.command("test")
@click.option("--from", "written_sender", required=True, help="The sender: a number, or a name.")
@click.option("--to", required=True, help="The number of yours that is texted.")
@click.option("--text", default="", help="The text.")
@click.option("--at", default="", help="When, in APP_TIMEZONE, such as “2026-12-24 22:00”; or now.")
@json_option
def try_text(written_sender: str, to: str, text: str, at: str, as_json: bool) -> None:
    """Say what the rules would do with a text; nothing is sent or kept."""
    trial = parts().rule_trial.run(written_sender=written_sender, to=to, text=text, at=at)
    if as_json:
        document(as_object(trial, parts().rule_warnings.all()))
        return
    note_rule_warnings()
    decision, waits = trial.decision, trial.reply_waits
    for step in trial.steps:
        sign, why = ("--", step.why_not) if step.why_not else ("->", "Matches.")
        click.echo(f"{sign} {escaped(step.rule)}: {escaped(why)}")
    if trial.steps:
        click.echo()
    facts(
        (
            ("Text", f"from {trial.text.peer} to {trial.text.number}, {trial.local_time}"),
            ("Decided by", decision.rule_names or "the number's entry"),
            ("Extensions", ", ".join(decision.extensions)),
            ("Groups", ", ".join(f"{one.name} ({one.assign})" for one in decision.groups)),
            ("E-mails", ", ".join(decision.emails)),
            ("Reply", trial.reply),
            ("No reply", trial.why_no_reply),
            ("Reply waits", f"until {moment(waits.until)}. {waits.reason}" if waits else ""),
            ("Remark", trial.remark),
        )
    )


def as_object(trial: Trial, warnings: Sequence[str]) -> dict[str, Any]:
    """A trial for programs, with the warnings about all rules."""
    decision, waits = trial.decision, trial.reply_waits
    return {
        "from": trial.text.peer,
        "to": trial.text.number,
        "at": stamp(trial.text.at),
        "rules": [
            {"name": step.rule, "matches": not step.why_not, "why_not": step.why_not or None}
            for step in trial.steps
        ],
        "decided_by": [rule.name for rule in decision.rules],
        "extensions": list(decision.all_extensions),
        "groups": [one.name for one in decision.groups],
        "emails": list(decision.emails),
        "reply": trial.reply or None,
        "why_no_reply": trial.why_no_reply or None,
        "reply_send_at": stamp(waits.until) if waits else None,
        "reply_waits_because": waits.reason if waits else None,
        "remark": trial.remark or None,
        "warnings": warnings,
    }
