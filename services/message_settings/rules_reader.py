"""Reading of the rules of Message Settings: the parts of a document become ``Rules``."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from services.core.commands import flask_command
from services.core.errors import SettingsError
from services.core.keywords import normalised
from services.core.opening_hours import OpeningHours, opening_hours
from services.message_settings.address_masks import normalised_mask
from services.message_settings.json_lines import Step
from services.message_settings.rules import (
    Assign,
    Group,
    InboundRule,
    OutboundRule,
    Rules,
    When,
)

Path = tuple[Step, ...]


class RuleError(SettingsError):
    """A rule that cannot be used; ``path`` is its place in the document."""

    def __init__(self, reason: str, path: Path) -> None:
        self.path = path
        super().__init__(reason, "".join(map(_step, path)).lstrip("."))


def _step(step: Step) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def compiled(
    sections: Mapping[str, Any],
    number: Callable[[str], str],
    address: Callable[[str], str],
    time_zone: str,
) -> Rules:
    """The rules of the parts of a document, as ``SectionsSchema`` has loaded them.

    ``number`` returns a phone number in E.164, ``address`` a sender or recipient as it is kept;
    both raise ``SettingsError``. ``time_zone`` is that of hours which name none. Raises
    ``RuleError``.
    """
    hours = {name: _hours(name, one, time_zone) for name, one in sections["hours"].items()}
    groups = {
        name: Group(name, tuple(dict.fromkeys(one["extensions"])), Assign(one["assign"]))
        for name, one in sections["groups"].items()
    }
    inbound = [
        _inbound(one, ("inbound", position), hours, groups, number, address)
        for position, one in enumerate(sections["inbound"])
    ]
    outbound = [
        _outbound(one, ("outbound", position), number, address)
        for position, one in enumerate(sections["outbound"])
    ]
    check_names("inbound", [rule.name for rule in inbound], "rules")
    check_names("outbound", [rule.name for rule in outbound], "rules")
    people = {name: one["name"].strip() for name, one in sections["extensions"].items()}
    return Rules(hours, people, groups, inbound, outbound)


def check_names(section: str, names: Sequence[str], what: str) -> None:
    """Raise ``RuleError`` if two of the names in a part of the document are the same."""
    for position, name in enumerate(names):
        if name in names[:position]:
            raise RuleError(
                f"Two {what} are named “{name}”. Give each a name of its own.",
                (section, position, "name"),
            )


def check_numbers(rules: Rules, known: Collection[str]) -> None:
    """Raise ``RuleError`` if a rule names a number that has no entry among ``known``."""
    for section, key, named in (
        ("inbound", "to", [(rule.name, rule.to) for rule in rules.inbound]),
        ("outbound", "from", [(rule.name, rule.numbers) for rule in rules.outbound]),
    ):
        for position, (name, numbers) in enumerate(named):
            for item, number in enumerate(numbers):
                if number not in known:
                    raise RuleError(
                        f"The rule “{name}” names {number}, which is not in Message Settings. "
                        "Add the number, or take it out of the rule.",
                        (section, position, key, item),
                    )


def _hours(name: str, written: Mapping[str, Any], time_zone: str) -> OpeningHours:
    spans = {key: value for key, value in written.items() if key not in ("timezone", "closed")}
    try:
        return opening_hours(written.get("timezone", time_zone), spans, written["closed"])
    except ValueError as error:
        raise RuleError(str(error), ("hours", name)) from None


def _inbound(
    one: Mapping[str, Any],
    path: Path,
    hours: Mapping[str, OpeningHours],
    groups: Mapping[str, Group],
    number: Callable[[str], str],
    address: Callable[[str], str],
) -> InboundRule:
    when = None
    if "when" in one:
        part, _, name = one["when"].partition(" ")
        if name not in hours:
            raise RuleError(unknown_name("hours", name, hours), (*path, "when"))
        when = (When(part), name)
    deliver = one.get("deliver", {})
    group = deliver.get("group")
    if group is not None and group not in groups:
        raise RuleError(unknown_name("groups", group, groups), (*path, "deliver", "group"))
    if "deliver" in one and not (group or deliver["extensions"] or deliver["emails"]):
        raise RuleError(
            "It names nobody. Name a group, extensions or e-mails, or leave “deliver” out: then "
            "those of the number get the text.",
            (*path, "deliver"),
        )
    keywords = tuple(dict.fromkeys(map(normalised, one["keywords"])))
    if "" in keywords:
        raise RuleError("A keyword has letters or digits.", (*path, "keywords"))
    return InboundRule(
        name=one["name"],
        to=_numbers(one["to"], (*path, "to"), number),
        senders=_masks(one["from_"], (*path, "from"), address),
        keywords=keywords,
        when=when,
        group=groups[group] if group is not None else None,
        extensions=tuple(dict.fromkeys(deliver.get("extensions", ()))),
        emails=tuple(dict.fromkeys(deliver.get("emails", ()))),
        reply=one.get("reply", ""),
        reply_once_hours=one["reply_once_hours"],
        continues=one["continue_"],
    )


def _outbound(
    one: Mapping[str, Any],
    path: Path,
    number: Callable[[str], str],
    address: Callable[[str], str],
) -> OutboundRule:
    return OutboundRule(
        one["name"],
        tuple(dict.fromkeys(one["extensions"])),
        _masks(one["to"], (*path, "to"), address),
        _numbers(one["from_"], (*path, "from"), number),
    )


def _numbers(written: Sequence[str], path: Path, number: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_each(written, path, number)))


def _masks(written: Sequence[str], path: Path, address: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(_each(written, path, lambda mask: normalised_mask(mask, address)))


def _each(written: Sequence[str], path: Path, read: Callable[[str], str]) -> Iterator[str]:
    for position, text in enumerate(written):
        try:
            yield read(text)
        except SettingsError as error:
            raise RuleError(error.reason, (*path, position)) from None


def unknown_name(section: str, name: str, known: Collection[str]) -> str:
    """The sentence about a name that is not in ``hours`` or ``groups``, with where to add it."""
    what = "No group is" if section == "groups" else "No hours are"
    remedy = f"Write one of {', '.join(known)}, or add it" if known else "Add it"
    export, take = flask_command("settings export"), flask_command("settings import")
    return (
        f"{what} named “{name}”. {remedy} to “{section}”: on the page /admin/rules, or in the "
        f"document, message_settings.json ({export}, {take})."
    )
