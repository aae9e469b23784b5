"""The tables of texts that come in, in ``tests/data``: who gets each, the answer, what is recorded.

``opt_out.txt`` has STOP, START and HELP; ``rules/*.txt`` have rules, each with its document of
Message Settings beside it. The head of each file says what its columns are.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert

from services.core.durations import HOUR
from services.core.keywords import Keyword
from services.core.messages import AutomaticText, Message
from services.core.phone_numbers import EVERY
from services.store import blocked_senders, opt_outs, quotas
from services.store.database.schema import automatic_answers
from services.store.opt_outs import OptOut, Source
from services.store.quotas import Quota

FOLDER = Path(__file__).parent / "data"
CARRIERS = ("bandwidth", "telnyx", "twilio", "voipinnovations", "voipms", "wavix")
GROUPS = ("bandwidth", "telnyx")  # whose webhooks have texts of groups
WHATSAPP = ("twilio",)
ELSEWHERE = "+12025559999"  # another number of ours, to which no row has a text
ANYBODY = "+13035550177"  # in rules: some person, whose number no rule names
ANSWERS = {"confirmation": AutomaticText.CONFIRMATION, "help": AutomaticText.HELP}
RECEIVED_AT = "X-Received-At"  # header of a call, see ``tests/timed_app.py``
NEW_YORK = "America/New_York"
Case = TypeVar("Case", bound="AtCarrier")
_AGO = re.compile(r"answered (\d+) min ago by (.+)")
_TIMES = re.compile(r"answered (\d+) times")


def _cells(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table, each with its place."""
    for line, written in enumerate(path.read_text("utf-8").splitlines(), 1):
        if written and written != "#" and not written.startswith("# "):
            yield f"{path.stem} line {line}", [cell.strip() for cell in written.split("|")]


def _filled(cell: str) -> str:
    return "" if cell == "-" else cell


@dataclass(frozen=True)
class OptOutRow:
    """A row of ``opt_out.txt``; ``place`` is its file and line."""

    place: str
    text: str
    conditions: Mapping[str, str]
    recipients: str
    recorded: str
    answer: str
    by_carrier: tuple[str, ...]

    @property
    def carriers(self) -> tuple[str, ...]:
        """The carriers that can have it."""
        only = self.conditions.get("only")
        return tuple(only.split()) if only else CARRIERS

    @property
    def env(self) -> str:
        """The variable that must be set, with its value; empty without one."""
        return self.conditions.get("with", "")


def opt_out_rows() -> list[OptOutRow]:
    """The rows of ``opt_out.txt``."""
    return [
        OptOutRow(
            place,
            text.replace("␣", " ").replace("\\u200b", "\u200b"),
            dict(map(_condition, filter(None, _filled(conditions).split(", ")))),
            _filled(recipients),
            _filled(recorded),
            _filled(answer),
            tuple(_filled(by_carrier).split()),
        )
        for place, (text, conditions, recipients, recorded, answer, by_carrier) in _cells(
            FOLDER / "opt_out.txt"
        )
    ]


def _condition(written: str) -> tuple[str, str]:
    for name in ("from", "to", "was", "carrier says", "only", "with"):
        if written.startswith(f"{name} "):
            return name, written.removeprefix(f"{name} ")
    raise ValueError(f"“{written}” is no condition of a row.")


@dataclass(frozen=True)
class OptOutCase:
    """A row at one carrier, with a number of ours and a person of its own: ``index`` makes both."""

    row: OptOutRow
    carrier: str
    index: int

    @property
    def number(self) -> str:
        """Our number."""
        local = self.row.conditions.get("to") != "toll-free"
        return f"{'+1202555' if local else '+1888555'}{self.index:04}"

    @property
    def peer(self) -> str:
        """The sender, as it is stored."""
        return {
            "": f"+1303555{self.index:04}",
            "a name": f"Shop {self.index}",
            "a short code": f"{70_000 + self.index}",
            "abroad": f"+44794600{self.index:04}",
            "a group": f"+1303555{self.index:04}",
            "WhatsApp": f"whatsapp:+1303555{self.index:04}",
        }[self.row.conditions.get("from", "")]

    @property
    def answer(self) -> str:
        """Which answer Textbridge gives: none where the carrier does."""
        return "" if self.carrier in self.row.by_carrier else self.row.answer

    @property
    def is_out(self) -> bool:
        """Whether the person has opted out of the number afterwards."""
        return bool({"out", "out everywhere"} & set(self.row.recorded.split(" and ")))

    @property
    def entry(self) -> dict[str, Any]:
        """Our number in Message Settings."""
        return {"number": self.number, "carrier": self.carrier, "extensions": ["201"]}

    @property
    def message(self) -> Message:
        """The text."""
        group = self.row.conditions.get("from") == "a group"
        says = self.row.conditions.get("carrier says", "").lower()
        return Message(
            "in",
            self.number,
            self.peer,
            self.row.text,
            provider_id=f"row-{self.index}",
            participants=(self.peer, "+14045550188") if group else (),
            opt_out=Keyword(says) if says else None,
        )

    def prepare(self, tx: Connection) -> None:
        """Record what is known of the person before."""
        for state in filter(None, self.row.conditions.get("was", "").split(" and ")):
            number = {"out elsewhere": ELSEWHERE, "out everywhere": EVERY}.get(state, self.number)
            if state == "blocked":
                blocked_senders.add(tx, self.peer, self.number, "test")
            elif state == "three answers":
                for _ in range(3):
                    quotas.take(tx, [Quota(f"help:{self.peer}", 3, HOUR)])
            elif state.startswith("out"):
                opt_outs.record(tx, OptOut(number, self.peer, 1.0, Source.IMPORT))
            else:
                raise ValueError(f"“{state}” is no state of a person.")


def opt_out_cases(env: str) -> list[OptOutCase]:
    """The rows for this variable of the environment, each at each carrier."""
    rows = [row for row in opt_out_rows() if row.env == env]
    both = [(row, carrier) for row in rows for carrier in row.carriers]
    return [OptOutCase(*one, index) for index, one in enumerate(both)]


class AtCarrier(Protocol):
    """A row at one carrier."""

    @property
    def row(self) -> "OptOutRow | RuleRow":
        """The row."""

    @property
    def carrier(self) -> str:
        """The carrier."""


def one_carrier_each(cases: Sequence[Case]) -> list[Case]:
    """Each row at one of its carriers, in turn."""

    def has_turn(case: Case) -> bool:
        line = int(case.row.place.rpartition(" ")[2])
        return case.row.carriers[line % len(case.row.carriers)] == case.carrier

    return [case for case in cases if has_turn(case)]


def recorded_words(numbers: Sequence[str], *, our_number: str, blocked: bool, flagged: bool) -> str:
    """What is recorded of a person as the table writes it; ``numbers`` they have opted out of."""
    words = {
        "blocked": blocked,
        "out": our_number in numbers,
        "out elsewhere": ELSEWHERE in numbers,
        "out everywhere": EVERY in numbers,
        "flag": flagged,
    }
    return " and ".join(word for word, holds in words.items() if holds)


@dataclass(frozen=True)
class RuleRow:
    """A row of a table of rules. ``at`` is seconds since 1970; ``sender`` may be a group."""

    place: str
    at: float
    to: str
    sender: str
    text: str
    recipients: str
    answer: str
    rules: str
    before: str

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The members of a group, the sender first; empty for one sender."""
        members = tuple(self.sender.split(", "))
        return members if len(members) > 1 else ()

    @property
    def peer(self) -> str:
        """The sender."""
        return self.sender.partition(", ")[0]

    @property
    def carriers(self) -> tuple[str, ...]:
        """The carriers that can have it."""
        if self.peer.startswith("whatsapp:"):
            return WHATSAPP
        if not self.to.startswith(("+", "rcs:")):  # Twilio's own names of a sender have a channel
            return tuple(carrier for carrier in CARRIERS if carrier != "twilio")
        return GROUPS if self.members else CARRIERS

    def prepare(self, tx: Connection, number: str, peer: str) -> None:
        """Record what is known before of the sender, at this number of ours."""
        ago, times = _AGO.fullmatch(self.before), _TIMES.fullmatch(self.before)
        answered: list[tuple[float, str]] = []
        if ago:
            answered = [(time.time() - 60.0 * int(ago[1]), ago[2])]
        elif times:
            answered = [(time.time(), "another rule")] * int(times[1])
        elif self.before == "blocked":
            blocked_senders.add(tx, peer, number, "test")
        elif self.before == "opted out":
            opt_outs.record(tx, OptOut(number, peer, 1.0, Source.IMPORT))
        elif self.before:
            raise ValueError(f"“{self.before}” is nothing that is known of a sender.")
        for at, rule in answered:
            row = {"rule": rule, "number": number, "peer": peer, "at": at}
            tx.execute(insert(automatic_answers).values(row))


def rule_rows(name: str) -> list[RuleRow]:
    """The rows of a table of rules."""
    return [
        RuleRow(place, _moment(at), *rest, *[""] * (7 - len(rest)))
        for place, (at, *rest) in _cells(FOLDER / "rules" / f"{name}.txt")
    ]


def rule_document(name: str) -> dict[str, Any]:
    """The Message Settings of a table of rules."""
    document: dict[str, Any] = json.loads((FOLDER / "rules" / f"{name}.json").read_bytes())
    return document


def _moment(written: str) -> float:
    """``2026-11-30 07:59``, in New York or with the name of a zone."""
    date, clock, *zone = written.split()
    at = datetime.fromisoformat(f"{date} {clock}")
    return at.replace(tzinfo=ZoneInfo(*zone or [NEW_YORK])).timestamp()
