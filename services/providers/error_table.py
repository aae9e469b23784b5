"""Loader of the carriers' error tables: the ``errors.toml`` in each carrier's folder.

A table has up to three lists. ``errors`` are the carrier's own errors, each with its ``codes``;
``says`` is a part of the carrier's sentence in lower case, for a carrier that writes sentences
instead of codes; ``pause`` is in seconds; with ``opt_out`` the recipient has opted out there; with
``number`` the number that sends is refused, and another one may be accepted. ``cause`` (``Cause``)
says what kind of trouble it is, so that ``flask why`` can name who has to act.
``prefixes`` explain the codes that are not listed, by their first characters. ``http`` is for
answers whose HTTP status is all that is known. ``kind`` is the decision (``retry``, ``refused``,
``unknown`` or ``config``), ``reason`` a sentence for people with the remedy in it, ``remedy`` one
that follows the carrier's own words.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.core.errors import MAY_WORK_LATER, Kind, SendError
from services.http.client import Answer

FILE = "errors.toml"
KINDS = (Kind.RETRY, Kind.REFUSED, Kind.UNKNOWN, Kind.CONFIG)
PAUSE_SECONDS = 5.0  # after a 429 that names no time
LISTS = ("errors", "prefixes", "http")


class Cause(StrEnum):
    """What kind of trouble a carrier's error is, the same for all carriers."""

    OPT_OUT = "opt_out"  # the recipient has opted out at the carrier
    NUMBER_NOT_IN_USE = "number_not_in_use"  # the recipient's number is wrong or given up
    NOT_MOBILE = "not_mobile"  # it cannot receive this kind of message
    PHONE_OFF = "phone_off"  # the recipient's phone did not take it
    RECIPIENT_BLOCKS = "recipient_blocks"  # the recipient or their carrier blocks the sender
    SPAM = "spam"  # the content or the traffic was filtered
    REGISTRATION = "registration"  # 10DLC, toll-free verification, registered names, templates
    SENDER = "sender"  # the number that sends cannot be used
    ACCOUNT = "account"  # what the account or this installation is set up for
    CREDENTIALS = "credentials"  # the carrier does not accept who asks
    FUNDS = "funds"  # no money left, or the price limit
    COUNTRY = "country"  # no way to the recipient's country or network
    PACE = "pace"  # too much at once, or in a day
    CONTENT = "content"  # the text or the files are not taken as they are
    FAILURE = "failure"  # a failure at the carrier, or at the recipient's
    UNCONFIRMED = "unconfirmed"  # whether it came is not known


# What follows for the message, after a carrier's own words that nobody here knows.
CONSEQUENCES = {
    Kind.REFUSED: "The message was not sent.",
    Kind.CONFIG: "The message was not sent.",
    Kind.UNKNOWN: "The message may have been sent.",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One error: its decision, and the sentence for people (for ``http`` the remedy).

    ``code`` is the carrier's code, the first characters of one, or the HTTP status. ``pause`` is
    how long to leave the carrier alone, in seconds.
    """

    code: str
    kind: Kind
    reason: str
    says: str = ""
    pause: float | None = None
    opt_out: bool = False
    number: bool = False
    cause: Cause | None = None

    @property
    def decision(self) -> tuple[Kind, str]:
        """The kind, and the sentence."""
        return self.kind, self.reason


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """The errors of one carrier; ``sentences`` and ``prefixes`` are in the order of the file."""

    codes: Mapping[str, Entry]
    sentences: tuple[Entry, ...]
    prefixes: tuple[Entry, ...]
    http: Mapping[int, Entry]

    @property
    def opt_out_codes(self) -> frozenset[str]:
        """The codes that say that the recipient has opted out."""
        return frozenset(code for code, entry in self.codes.items() if entry.opt_out)

    @property
    def causes(self) -> Mapping[str, Cause]:
        """What kind of trouble each code is."""
        return {code: entry.cause for code, entry in self.codes.items() if entry.cause is not None}

    @property
    def number_codes(self) -> frozenset[str]:
        """The codes that refuse the number that sends."""
        return frozenset(code for code, entry in self.codes.items() if entry.number)

    def by_prefix(self, code: str) -> Entry:
        """The first entry of ``prefixes`` that a code begins with. Raises ``StopIteration``."""
        return next(entry for entry in self.prefixes if code.startswith(entry.code))

    def by_sentence(self, sentence: str) -> Entry | None:
        """The first entry whose ``says`` is a part of a sentence of the carrier, or ``None``."""
        text = sentence.lower()
        return next((entry for entry in self.sentences if entry.says in text), None)

    def for_status(self, status: int) -> tuple[Kind, str]:
        """The kind and remedy of an HTTP status; refused where it is not listed."""
        known = self.http.get(status)
        return known.decision if known is not None else (Kind.REFUSED, "")

    def explained(self, title: str, code: str, detail: str) -> str:
        """The reason why a message was not delivered; an unknown code quotes ``detail``.

        A failed message is not sent again by itself: it would be billed again and might arrive
        twice. ``title`` is as the carrier writes itself, ``detail`` is the carrier's own sentence.
        """
        if code in self.codes:
            kind, sentence = self.codes[code].decision
            return f"{sentence} {MAY_WORK_LATER}" if kind is Kind.RETRY else sentence
        known = ": ".join(part for part in (code, f"“{detail[:120]}”" if detail else "") if part)
        return f"{title} could not deliver the message{f' ({known})' if known else ''}."

    def refusal(
        self, title: str, answer: Answer, lost: Kind, code: str, detail: str, *, address: str
    ) -> SendError:
        """The error for an answer other than 2xx, by the carrier's code, else by its status.

        Nobody documents that what was answered with 5xx was not carried out: ``lost`` follows.
        ``detail`` is the carrier's own sentence. ``address`` is the variable with the API's
        address.
        """
        quoted = f"{title} answered {answer.status}: {detail or 'no reason given.'}"
        pause = PAUSE_SECONDS if answer.status == 429 else None
        if answer.status >= 500:
            kind, sentence = lost, quoted
        elif answer.status < 400:
            kind, sentence = Kind.CONFIG, f"{quoted} Check {address}."
        elif (known := self.codes.get(code)) is not None:
            kind, sentence = known.decision
            pause = known.pause or pause
        else:
            kind, remedy = self.for_status(answer.status)
            sentence = f"{quoted} {remedy}".rstrip()
        wait = answer.retry_after or pause
        if sentence == quoted:
            sentence = with_consequence(sentence, kind, lost)
        return SendError(sentence, kind, code=code or str(answer.status), retry_after=wait)


def with_consequence(sentence: str, kind: Kind, lost: Kind) -> str:
    """A sentence with a carrier's own words, and what follows for the message that was sent.

    Of a request that sends nothing (``lost`` is not unknown) nothing follows.
    """
    follows = CONSEQUENCES.get(kind, "") if lost is Kind.UNKNOWN else ""
    return f"{sentence} {follows}".rstrip()


def load(module: str) -> ErrorTable:
    """The table beside a module (its ``__file__``). Raises ``ValueError`` for a malformed one."""
    file = Path(module).with_name(FILE)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        unknown = document.keys() - set(LISTS)
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        flags = ("opt_out", "number", "cause")
        errors = list(_entries(document, "errors", "codes", "reason", "says", "pause", *flags))
        statuses = _unique(_entries(document, "http", "status", "remedy"))
        return ErrorTable(
            codes=_unique(errors),
            sentences=tuple(entry for entry in errors if entry.says),
            prefixes=tuple(_unique(_entries(document, "prefixes", "prefix", "reason")).values()),
            http={int(status): entry for status, entry in statuses.items()},
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _entries(
    document: Mapping[str, Any], name: str, key: str, text: str, *optional: str
) -> Iterator[Entry]:
    """The entries of one list: one for each code that a line names under ``key``."""
    needed = {key, "kind", text}
    for line in document.get(name, []):
        if not needed <= line.keys() <= needed | set(optional):
            raise ValueError(f"{name}: {line} must have {', '.join(sorted(needed))}.")
        kind = Kind(line["kind"])
        if kind not in KINDS:
            raise ValueError(f"{name}: “{kind}” does not follow from a carrier's error.")
        codes = line[key] if isinstance(line[key], list) else [line[key]]
        if not codes or not isinstance(line[text], str):
            raise ValueError(f"{name}: {line} has no code, or no text.")
        for code in codes:
            yield Entry(
                str(code),
                kind,
                line[text],
                line.get("says", ""),
                line.get("pause"),
                line.get("opt_out", False),
                line.get("number", False),
                _cause(name, line),
            )


def _cause(name: str, line: Mapping[str, Any]) -> Cause | None:
    """What kind of trouble a line is; each of the list ``errors`` must say so."""
    if line.get("opt_out"):
        return Cause.OPT_OUT
    if "cause" in line:
        return Cause(line["cause"])
    if name == "errors":
        raise ValueError(f"{name}: {line} must have a cause.")
    return None


def _unique(entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.code in found:
            raise ValueError(f"“{entry.code}” is there twice.")
        found[entry.code] = entry
    return found
