"""The doctor: runs every check there is and reports a line for each.

The checks are those of the other commands (status, carriers check, push check, mail check), and the
look at APP_URL from outside.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from gevent.pool import Pool

from services.core.commands import flask_command
from services.core.errors import TextbridgeError
from services.core.messages import Finding
from services.http.client import Http
from services.http.deadline import DeadlineExceeded, deadline
from services.media.bucket import Bucket
from services.operations import housekeeping
from services.operations.credential_checks import SERVER, CredentialChecks
from services.operations.doctor.diagnosis import (
    Diagnosis,
    State,
    broken,
    from_findings,
    ok,
    warning,
)
from services.operations.doctor.passage import Passage
from services.operations.doctor.public_address import PublicAddress
from services.operations.health import Health
from services.operations.mistake_warnings import CLOCK_SECONDS
from services.store.database.store import Store

STREAM_SECONDS = 16  # longer than the API is silent in a stream
GROUP_SECONDS = 40.0  # the total deadline of the checks of one kind
# Of the checks of ``/ready``: what is well, and the remedy where it is not.
READY = {
    "database": (
        "The database takes what is written to it.",
        "Check that the database runs, and that its disk has space: df -h",
    ),
    "schema": (
        "The database has all migrations.",
        "Start the server again: it brings it up to date.",
    ),
    "disk": ("The storage folder has space.", "Make space on its disk: df -h"),
    "worker": (
        "A delivery worker runs.",
        f"Start the server, or the worker by itself: {flask_command('worker')}",
    ),
    "settings": (
        "Message Settings can be used.",
        "Correct them: the last good ones stay in force until then.",
    ),
}
Group = Callable[[], Iterable[Diagnosis]]


@dataclass(eq=False)
class Doctor:
    """Runs the checks; ``titles`` are the names of carriers and channels for people."""

    store: Store
    http: Http
    health: Health
    checks: CredentialChecks
    public: PublicAddress
    passage: Passage
    titles: Mapping[str, str]

    def run(
        self, mail_to: str | None = None, stream_seconds: int = STREAM_SECONDS
    ) -> Iterator[Diagnosis]:
        """Every line; the kinds of checks run side by side, each within a total time.

        ``mail_to`` gets a test mail; ``stream_seconds`` is for how long a live stream must hold.
        """
        groups: list[tuple[str, float, Group]] = [
            ("app_url", GROUP_SECONDS + stream_seconds, partial(self._outside, stream_seconds)),
            ("carrier", GROUP_SECONDS, self._carriers),
            ("mail", GROUP_SECONDS, partial(self._mail, mail_to)),
            ("push", GROUP_SECONDS, self._push),
            ("media", GROUP_SECONDS, self._bucket),
        ]
        said = {"check"}  # of the carriers, which have just been asked
        for found in Pool(len(groups)).imap(lambda group: _bounded(*group), groups):
            said.update(each.name for each in found)
            yield from found
        yield from self._inside(said)

    def _outside(self, stream_seconds: int) -> Iterator[Diagnosis]:
        reached = False
        for each in self.public.look():
            reached = reached or (each.name == "reached" and each.state is State.OK)
            yield each
        if reached:
            yield from self.passage.webhooks()
            yield from self.passage.bodies()
            yield from self.passage.stream(stream_seconds)

    def _carriers(self) -> Iterator[Diagnosis]:
        for name, findings in self.checks.carriers().items():
            remedy = f"Then try again: {flask_command(f'carriers check {name}')}"
            yield from from_findings(f"carrier:{name}", self.titles[name], findings, remedy)
        housekeeping.note_clock(self.store, self.http)
        ahead = self.http.clock_ahead
        if ahead is not None and abs(ahead) <= CLOCK_SECONDS:  # else a warning of ``/ready``
            reason = f"This machine's clock is {abs(ahead):.0f} s off that of a carrier."
            yield ok("carrier clock", reason)

    def _mail(self, mail_to: str | None) -> Iterator[Diagnosis]:
        found = self.checks.mail()
        again = f"Then try again: {flask_command('mail check')}"
        for name, findings in found.items():
            yield from from_findings(name, f"The {name}", findings, again)
        if mail_to is not None:
            sent = Finding(False, "it is off. Set MAIL_HOST in .env.")
            if SERVER in found:
                sent = self.checks.test_mail(mail_to)
            yield from from_findings("test mail", f"The {SERVER}", [sent], again)

    def _push(self) -> Iterator[Diagnosis]:
        for name, findings in self.checks.channels().items():
            remedy = f"Then try again: {flask_command('push check')}"
            yield from from_findings(f"push:{name}", self.titles[name], findings, remedy)

    def _bucket(self) -> Iterator[Diagnosis]:
        if isinstance(self.checks.files, Bucket):
            trouble = self.checks.bucket()
            remedy = f"Check the MEDIA_S3_ variables in .env, then: {flask_command('config check')}"
            keeps = ok("media", "The bucket keeps files.")
            yield broken("media", trouble, remedy) if trouble else keeps

    def _inside(self, said: set[str]) -> Iterator[Diagnosis]:
        """The checks of ``/ready`` and its warnings, but those that were said already."""
        for each in self.health.checks():
            well, remedy = READY[each.name]
            yield ok(each.name, well) if each.ok else broken(each.name, each.reason, remedy)
        for warned in self.health.warnings():
            if warned.name not in said:
                yield warning(warned.name, warned.reason, warned.remedy)


def _bounded(name: str, seconds: float, group: Group) -> list[Diagnosis]:
    """The lines of a group until its time is up."""
    found: list[Diagnosis] = []
    end = time.monotonic() + seconds
    try:
        with deadline(seconds):
            for each in group():
                found.append(each)
                if time.monotonic() > end:  # a call within may have taken the end for its own
                    raise DeadlineExceeded
    except DeadlineExceeded:
        reason = f"The rest was not done within {seconds:.0f} seconds."
        found.append(warning(name, reason, "Try again when less is to be done."))
    except TextbridgeError as error:
        remedy = f"Try again. If it stays: {flask_command('status')}, and the log of the server."
        found.append(broken(name, str(error), remedy))
    return found
