"""One line of the doctor's report: what was looked at, how it is, and what to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.core.messages import Finding


class State(StrEnum):
    """How something is: ``broken`` stops messages, a ``warning`` may."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line: a name for programs, a sentence, and a remedy where it is not ``ok``."""

    name: str
    state: State
    reason: str
    remedy: str = ""


def ok(name: str, reason: str) -> Diagnosis:
    """A line about something that is well."""
    return Diagnosis(name, State.OK, reason)


def warning(name: str, reason: str, remedy: str = "") -> Diagnosis:
    """A line about something that may stop messages."""
    return Diagnosis(name, State.WARNING, reason, remedy)


def broken(name: str, reason: str, remedy: str) -> Diagnosis:
    """A line about something that stops messages."""
    return Diagnosis(name, State.BROKEN, reason, remedy)


def from_findings(
    name: str, title: str, findings: Iterable[Finding], remedy: str
) -> Iterator[Diagnosis]:
    """The findings of a check: each that is bad, or else one line for all.

    ``remedy`` is for those that are bad: most name one themselves, but not those of a network.
    """
    known = list(findings)
    bad = [each for each in known if not each.ok]
    for each in bad:
        yield broken(name, _titled(title, each.text), remedy)
    if known and not bad:
        yield ok(name, _titled(title, known[0].text))


def _titled(title: str, text: str) -> str:
    return text if text.startswith(title) else f"{title}: {text}"
