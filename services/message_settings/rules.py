"""Rules of Message Settings, compiled: which inbound text goes where, and how texts go out.

They are compiled once for each document. Rules for a text are found by indexes of the number, of
the beginning of the sender and of the first word, so that the number of rules costs little.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from services.core.errors import SettingsError
from services.core.keywords import normalised
from services.core.opening_hours import OpeningHours, opening_hours
from services.core.phone_numbers import without_channel
from services.message_settings.fields import NumberSetting
from services.message_settings.json_lines import Step

Path = tuple[Step, ...]
MOST_SEARCHED = 200  # characters of a text that are compared with keywords
_MASK = re.compile(r"[*?]")
_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})", re.ASCII)


class RuleError(SettingsError):
    """A rule that cannot be used; ``path`` is its place in the document."""

    def __init__(self, reason: str, path: Path) -> None:
        self.path = path
        super().__init__(reason, "".join(map(_step, path)).lstrip("."))


def _step(step: Step) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


class Assign(StrEnum):
    """How the conversations of a group are given to its extensions."""

    ALL = "all"
    FIRST_TO_ANSWER = "first-to-answer"
    ROUND_ROBIN = "round-robin"


@dataclass(frozen=True, slots=True)
class Group:
    """Extensions that share conversations."""

    name: str
    extensions: tuple[str, ...]
    assign: Assign = Assign.ALL


class When(StrEnum):
    """Part of some opening hours."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class InboundRule:
    """What is done with a text; an empty condition holds for every text.

    Texts go to ``group``, ``extensions`` and ``emails`` instead of those of the number, unless all
    three are empty. ``reply`` is sent to a person once in ``reply_once_hours``.
    """

    name: str
    to: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    when: tuple[When, str] | None = None
    group: Group | None = None
    extensions: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    reply: str = ""
    reply_once_hours: float = 12.0
    goes_on: bool = False

    @property
    def delivers(self) -> bool:
        """Whether it says to whom a text goes."""
        return bool(self.group or self.extensions or self.emails)

    @property
    def all_extensions(self) -> tuple[str, ...]:
        """The extensions that may get a text by this rule."""
        members = self.group.extensions if self.group is not None else ()
        return tuple(dict.fromkeys((*members, *self.extensions)))


@dataclass(frozen=True, slots=True)
class OutboundRule:
    """Numbers by one of which an extension begins a conversation with certain recipients."""

    name: str
    extensions: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    def mismatch(self, extension: str, recipients: Iterable[str]) -> str:
        """Why it does not apply, as a sentence; empty where it does."""
        if self.extensions and not any(_names(mask, extension) for mask in self.extensions):
            return f"It is for the extensions {', '.join(self.extensions)}."
        if self.to and not all(any(_fits(mask, one) for mask in self.to) for one in recipients):
            return f"It is for recipients such as {', '.join(self.to)}."
        return ""


@dataclass(frozen=True)
class InboundText:
    """What rules look at: our number, the sender, the text, the time (seconds since 1970)."""

    number: str
    peer: str
    text: str
    at: float

    @cached_property
    def words(self) -> str:
        """The text as it is compared with keywords."""
        return normalised(self.text[:MOST_SEARCHED])

    @cached_property
    def known_parts(self) -> dict[tuple[When, str], bool]:
        """The parts of opening hours that were compared with its time, and whether it is in."""
        return {}


@dataclass(frozen=True, slots=True)
class Decision:
    """Who gets a text, and which rules have decided this; without rules its number's entry has."""

    extensions: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    emails: tuple[str, ...] = ()
    rules: tuple[InboundRule, ...] = ()

    @property
    def reaches_somebody(self) -> bool:
        """Whether anybody gets it."""
        return bool(self.extensions or self.groups or self.emails)

    @property
    def all_extensions(self) -> tuple[str, ...]:
        """The extensions, with those of the groups."""
        members = [extension for group in self.groups for extension in group.extensions]
        return tuple(dict.fromkeys((*self.extensions, *members)))

    @property
    def rule_names(self) -> str | None:
        """The names of the rules that decided, as they are kept with the message."""
        return ", ".join(rule.name for rule in self.rules) or None

    @property
    def answer(self) -> InboundRule | None:
        """The rule whose reply is sent: the first one that has a reply."""
        return next((rule for rule in self.rules if rule.reply), None)


NOBODY = Decision()


def own_entry(setting: NumberSetting | None) -> Decision:
    """Delivery by a number's entry alone."""
    if setting is None or not setting.enabled:
        return NOBODY
    return Decision(setting.extensions, (), setting.emails)


@dataclass(eq=False)
class _Index:
    """Positions of rules by the first of their conditions that is exact enough."""

    by_sender: dict[str, list[int]] = field(default_factory=dict)  # beginning of the sender
    by_word: dict[str, list[int]] = field(default_factory=dict)  # first word of the text
    others: list[int] = field(default_factory=list)
    longest: int = 0  # characters of a beginning

    def add(self, position: int, rule: InboundRule) -> None:
        """Add a rule."""
        beginnings = [_MASK.split(mask, maxsplit=1)[0] for mask in rule.senders]
        if rule.keywords:
            for word in {keyword.partition(" ")[0] for keyword in rule.keywords}:
                self.by_word.setdefault(word, []).append(position)
        elif beginnings and all(beginnings):
            for beginning in set(beginnings):
                self.by_sender.setdefault(beginning, []).append(position)
                self.longest = max(self.longest, len(beginning))
        else:
            self.others.append(position)

    def positions(self, sender: str, word: str) -> Iterator[int]:
        """The positions of the rules that may match, in any order, some of them twice."""
        yield from self.others
        yield from self.by_word.get(word, ()) if self.by_word else ()
        if self.by_sender:
            for name in {sender, without_channel(sender)}:
                for length in range(1, min(len(name), self.longest) + 1):
                    yield from self.by_sender.get(name[:length], ())


@dataclass(eq=False)
class Rules:
    """The rules of a document."""

    hours: Mapping[str, OpeningHours] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)  # of extensions
    groups: Mapping[str, Group] = field(default_factory=dict)
    inbound: Sequence[InboundRule] = ()
    outbound: Sequence[OutboundRule] = ()

    def __post_init__(self) -> None:
        self._anywhere = _Index()
        self._by_number: dict[str, _Index] = {}
        self._delivering: dict[str, list[InboundRule]] = {}  # by number; "": any number
        for position, rule in enumerate(self.inbound):
            for number in rule.to:
                self._by_number.setdefault(number, _Index()).add(position, rule)
            if not rule.to:
                self._anywhere.add(position, rule)
            for number in (rule.to or ("",)) if rule.delivers else ():
                self._delivering.setdefault(number, []).append(rule)

    def decide(self, setting: NumberSetting | None, text: InboundText) -> Decision:
        """Who gets a text to the number of this entry: the first rule that matches decides.

        A rule that goes on adds its recipients to those of what matches below it; below all rules
        is the number's entry. A number without an entry, or a disabled one, has no rules.
        """
        if not self.inbound or setting is None or not setting.enabled:
            return own_entry(setting)
        matched: list[InboundRule] = []
        for position in self._candidates(text):
            rule = self.inbound[position]
            if self.mismatch(rule, text):
                continue
            matched.append(rule)
            if not rule.goes_on:
                break
        last = matched[-1] if matched else None
        by_entry = last is None or last.goes_on or not last.delivers
        return Decision(
            _joined(rule.extensions for rule in matched)
            + _without(setting.extensions if by_entry else (), matched),
            tuple({rule.group.name: rule.group for rule in matched if rule.group}.values()),
            tuple(
                dict.fromkeys(
                    (
                        *_joined(rule.emails for rule in matched),
                        *(setting.emails if by_entry else ()),
                    )
                )
            ),
            tuple(matched),
        )

    def mismatch(self, rule: InboundRule, text: InboundText) -> str:
        """Why an inbound rule does not match a text, as a sentence; empty where it does."""
        if rule.to and text.number not in rule.to:
            return f"It is for texts to {', '.join(rule.to)}."
        if rule.senders and not any(_fits(mask, text.peer) for mask in rule.senders):
            return f"The sender is not {' or '.join(rule.senders)}."
        if rule.keywords and not _begins_with(rule.keywords, text.words):
            return f"The text does not begin with {' or '.join(rule.keywords)}."
        if rule.when is not None and not self._holds(rule.when, text):
            part, name = rule.when
            is_open = self.hours[name].is_open(text.at)
            if part is When.HOLIDAY:
                return f"It is no closed date of {name}."
            return f"It is {'inside' if is_open else 'outside'} {name}."
        return ""

    def extensions_of(self, number: str) -> tuple[str, ...]:
        """The extensions to which some rule may deliver texts to a number."""
        return tuple(dict.fromkeys(ext for rule in self._of(number) for ext in rule.all_extensions))

    def emails_of(self, number: str) -> tuple[str, ...]:
        """The e-mail addresses to which some rule may deliver texts to a number."""
        return tuple(dict.fromkeys(mail for rule in self._of(number) for mail in rule.emails))

    @cached_property
    def numbers_by_extension(self) -> Mapping[str, frozenset[str] | None]:
        """The numbers whose texts rules may deliver to each extension; ``None`` stands for all."""
        found: dict[str, frozenset[str] | None] = {}
        for rule in self.inbound:
            for extension in rule.all_extensions:
                known = found.get(extension, frozenset())
                found[extension] = known | set(rule.to) if known is not None and rule.to else None
        return found

    def check_numbers(self, known: Collection[str]) -> None:
        """Raise ``RuleError`` if a rule names a number that has no entry among ``known``."""
        for section, key, rules in (
            ("inbound", "to", [(rule.name, rule.to) for rule in self.inbound]),
            ("outbound", "from", [(rule.name, rule.numbers) for rule in self.outbound]),
        ):
            for position, (name, numbers) in enumerate(rules):
                for item, number in enumerate(numbers):
                    if number not in known:
                        raise RuleError(
                            f"The rule “{name}” names {number}, which is not in Message Settings. "
                            "Add the number, or take it out of the rule.",
                            (section, position, key, item),
                        )

    @cached_property
    def named_extensions(self) -> frozenset[str]:
        """The extensions that groups, rules and the list of names have."""
        return frozenset(
            {
                *self.names,
                *(extension for group in self.groups.values() for extension in group.extensions),
                *(extension for rule in self.inbound for extension in rule.extensions),
            }
        )

    def _of(self, number: str) -> Iterator[InboundRule]:
        yield from self._delivering.get(number, ())
        yield from self._delivering.get("", ())

    def _candidates(self, text: InboundText) -> list[int]:
        """The positions of the rules that may match, in their order."""
        sender = text.peer.casefold()
        word = text.words.partition(" ")[0]
        own = self._by_number.get(text.number)
        found = set(self._anywhere.positions(sender, word))
        if own is not None:
            found.update(own.positions(sender, word))
        return sorted(found)

    def _holds(self, when: tuple[When, str], text: InboundText) -> bool:
        """Whether it is that part of opening hours; computed once for each text."""
        known = text.known_parts
        if when not in known:
            part, hours = when[0], self.hours[when[1]]
            if part is When.HOLIDAY:
                known[when] = hours.is_holiday(text.at)
            else:
                known[when] = hours.is_open(text.at) is (part is When.INSIDE)
        return known[when]


NO_RULES = Rules()


def compiled(sections: Mapping[str, Any], number: Callable[[str], str], time_zone: str) -> Rules:
    """The rules of the parts of a document, as ``SectionsSchema`` has loaded them.

    ``number`` returns a phone number in E.164 or raises ``SettingsError``; ``time_zone`` is that of
    hours which name none. Raises ``RuleError``.
    """
    hours = {name: _hours(name, one, time_zone) for name, one in sections["hours"].items()}
    groups = {
        name: Group(name, tuple(dict.fromkeys(one["extensions"])), Assign(one["assign"]))
        for name, one in sections["groups"].items()
    }
    inbound = [
        _inbound(one, ("inbound", position), hours, groups, number)
        for position, one in enumerate(sections["inbound"])
    ]
    outbound = [
        _outbound(one, ("outbound", position), number)
        for position, one in enumerate(sections["outbound"])
    ]
    for section, names in (
        ("inbound", [rule.name for rule in inbound]),
        ("outbound", [rule.name for rule in outbound]),
    ):
        for position, name in enumerate(names):
            if name in names[:position]:
                raise RuleError(
                    f"Two rules are named “{name}”. Give each a name of its own.",
                    (section, position, "name"),
                )
    people = {name: one["name"] for name, one in sections["extensions"].items()}
    return Rules(hours, people, groups, inbound, outbound)


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
) -> InboundRule:
    when = None
    if "when" in one:
        part, _, name = one["when"].partition(" ")
        if name not in hours:
            raise RuleError(_unknown("hours", name, hours), (*path, "when"))
        when = (When(part), name)
    deliver = one.get("deliver", {})
    group = deliver.get("group")
    if group is not None and group not in groups:
        raise RuleError(_unknown("groups", group, groups), (*path, "deliver", "group"))
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
        senders=tuple(_mask(mask, number) for mask in one["from_"]),
        keywords=keywords,
        when=when,
        group=groups[group] if group is not None else None,
        extensions=tuple(dict.fromkeys(deliver.get("extensions", ()))),
        emails=tuple(dict.fromkeys(deliver.get("emails", ()))),
        reply=one.get("reply", ""),
        reply_once_hours=one["reply_once_hours"],
        goes_on=one["continue_"],
    )


def _outbound(one: Mapping[str, Any], path: Path, number: Callable[[str], str]) -> OutboundRule:
    return OutboundRule(
        one["name"],
        tuple(dict.fromkeys(one["extensions"])),
        tuple(_mask(mask, number) for mask in one["to"]),
        _numbers(one["from_"], (*path, "from"), number),
    )


def _numbers(written: Sequence[str], path: Path, number: Callable[[str], str]) -> tuple[str, ...]:
    found: list[str] = []
    for position, text in enumerate(written):
        try:
            found.append(number(text))
        except SettingsError as error:
            raise RuleError(error.reason, (*path, position)) from None
    return tuple(dict.fromkeys(found))


def _unknown(section: str, name: str, known: Collection[str]) -> str:
    what = "No group is" if section == "groups" else "No hours are"
    remedy = f"Write one of {', '.join(known)}, or add it" if known else "Add it"
    return f"{what} named “{name}”. {remedy} to “{section}”."


def _mask(mask: str, number: Callable[[str], str]) -> str:
    """A mask as it is compared: a whole number in E.164, everything else without case."""
    if not _MASK.search(mask):
        try:
            return number(mask)
        except SettingsError:  # a short code, a name
            pass
    return mask.casefold()


def _fits(mask: str, address: str) -> bool:
    """Whether an address fits a mask: ``*`` stands for any characters, ``?`` for one."""
    plain = address.casefold()
    return any(_like(mask, name) for name in {plain, without_channel(plain)})


def _names(mask: str, extension: str) -> bool:
    """Whether an extension fits a mask, or is in a range such as ``201-220``."""
    found = _RANGE.fullmatch(mask)
    if found and extension.isascii() and extension.isdigit():
        same_length = len(found[1]) == len(extension) == len(found[2])
        return same_length and found[1] <= extension <= found[2]
    return _like(mask.casefold(), extension.casefold())


def _like(mask: str, text: str) -> bool:
    """Match a mask in a time that grows with the product of both lengths only."""
    if "*" not in mask and "?" not in mask:
        return mask == text
    begin, *middle = mask.split("*")
    if not middle:
        return len(text) == len(mask) and _same(mask, text)
    end = middle.pop()
    if len(text) < len(begin) + len(end):
        return False
    rest = text[len(begin) : len(text) - len(end)]
    if not _same(begin, text[: len(begin)]) or not _same(end, text[len(text) - len(end) :]):
        return False
    position = 0
    for part in middle:
        last = len(rest) - len(part)
        while position <= last and not _same(part, rest[position : position + len(part)]):
            position += 1
        if position > last:
            return False
        position += len(part)
    return True


def _same(part: str, text: str) -> bool:
    return len(part) == len(text) and all(a in ("?", b) for a, b in zip(part, text, strict=True))


def _begins_with(keywords: Sequence[str], words: str) -> bool:
    return any(f"{words} ".startswith(f"{keyword} ") for keyword in keywords)


def _joined(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for one in lists for item in one))


def _without(extensions: Sequence[str], matched: Sequence[InboundRule]) -> tuple[str, ...]:
    named = {extension for rule in matched for extension in rule.extensions}
    return tuple(extension for extension in extensions if extension not in named)
