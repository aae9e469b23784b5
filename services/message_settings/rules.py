"""Rules of Message Settings, compiled: which inbound text goes where, and how texts go out.

They are compiled once for each document. Rules for a text are found by indexes of the number, of
the beginning of the sender and of the first word, so that the number of rules costs little.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from services.core.keywords import normalised
from services.core.opening_hours import OpeningHours
from services.core.phone_numbers import without_channel
from services.message_settings.address_masks import before_wildcard, extension_fits, fits_any
from services.message_settings.fields import NumberSetting

MOST_SEARCHED = 200  # characters of a text that are compared with keywords


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
    continues: bool = False

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
        if self.extensions and not any(extension_fits(mask, extension) for mask in self.extensions):
            return f"It is for the extensions {', '.join(self.extensions)}."
        if self.to and not all(fits_any(self.to, one) for one in recipients):
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
        beginnings = [before_wildcard(mask) for mask in rule.senders]
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

        A rule that continues adds its recipients to those of what matches below it; below all rules
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
            if not rule.continues:
                break
        last = matched[-1] if matched else None
        by_entry = last is None or last.continues or not last.delivers
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
        if rule.senders and not fits_any(rule.senders, text.peer):
            return f"The sender is not {' or '.join(rule.senders)}."
        if rule.keywords and not begins_with(rule.keywords, text.words):
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

    @cached_property
    def numbers_by_email(self) -> Mapping[str, frozenset[str] | None]:
        """The same for each e-mail address, in lower case."""
        found: dict[str, frozenset[str] | None] = {}
        for rule in self.inbound:
            for address in map(str.casefold, rule.emails):
                known = found.get(address, frozenset())
                found[address] = known | set(rule.to) if known is not None and rule.to else None
        return found

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


def begins_with(keywords: Iterable[str], words: str) -> bool:
    """Whether words begin with one of the keywords."""
    return any(f"{words} ".startswith(f"{keyword} ") for keyword in keywords)


def _joined(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for one in lists for item in one))


def _without(extensions: Sequence[str], matched: Sequence[InboundRule]) -> tuple[str, ...]:
    named = {extension for rule in matched for extension in rule.extensions}
    return tuple(extension for extension in extensions if extension not in named)
