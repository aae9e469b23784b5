"""Warnings of mistakes that only the running service can see: each one sentence and one remedy.

Refused webhooks, deliveries that fail again and again, phones that get no notifications, numbers
that a carrier refuses, checks that have failed, a wrong clock, the name of APP_URL, the certificate
of the own web server. None of them makes ``/ready`` 503.
"""

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from services.core.commands import flask_command
from services.core.durations import DAY
from services.core.errors import StorageUnwell
from services.message_settings import MessageSettings
from services.operations.carrier_status import newest_refusal
from services.operations.own_certificate import OwnCertificate
from services.operations.own_name import OwnName
from services.operations.stray_webhooks import StrayWebhooks
from services.providers.base import Provider
from services.providers.error_table import Cause
from services.push.base import Channel
from services.store import carrier_events, devices, jobs, messages, sightings
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store
from services.store.jobs import Failing
from services.store.sightings import Subject

LISTED = 5  # names before “and 12 more”
CLOCK_SECONDS = 60.0  # by which this machine's clock may differ from a carrier's
# What the operator can correct where nothing goes through, by the first part of the destination.
REMEDIES = {
    "email": "Check MAIL_HOST, MAIL_PORT and MAIL_ENCRYPTION in .env; many networks let no program "
    "use port 25: take 587.",
    "send": "Check the carrier's …_BASE_URL in .env, and that this machine can resolve and reach "
    "it.",
    "fetch": "Check that this machine can resolve and reach the carrier's address.",
    "push": "Check that this machine can resolve and reach the server of the app.",
}
SENDER_CAUSES = {Cause.SENDER, Cause.REGISTRATION}
_LONG_NUMBERS = re.compile(r"\+?\d{6,}")


@dataclass(frozen=True, slots=True)
class HealthWarning:
    """One warning for the operator; the service goes on.

    ``about`` is the destination that it is about, if any. ``remedy`` is a sentence with a command
    that helps; a page with a button for it leaves it out.
    """

    name: str
    reason: str
    about: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason} {self.remedy}".rstrip()


@dataclass(eq=False)
class MistakeWarnings:
    """Finds the mistakes; ``paused`` are the destinations that another warning names."""

    store: Store
    settings: MessageSettings
    providers: Mapping[str, Provider]
    channels: Mapping[str, Channel]
    strays: StrayWebhooks
    certificate: OwnCertificate
    own_name: OwnName

    def all(self, paused: Collection[str]) -> list[HealthWarning]:
        """All warnings. Raises ``StorageUnwell``."""
        found = self.store.read(partial(self._found, paused=paused))
        stray = [HealthWarning("webhook_path", reason) for reason in self.strays.warnings()]
        return [*found, *stray]

    def _found(self, tx: Connection, paused: Collection[str]) -> list[HealthWarning]:
        return [
            *self._carriers(tx),
            *_failing(jobs.failing(tx), paused),
            *_without_address(tx),
            *self._without_device(tx),
            *_clock(tx),
            *(
                HealthWarning("dns", reason, remedy=remedy)
                for reason, remedy in self.own_name.warnings(tx)
            ),
            *(
                HealthWarning("certificate", reason, remedy=remedy)
                for reason, remedy in self.certificate.warnings(tx)
            ),
        ]

    def _carriers(self, tx: Connection) -> Iterator[HealthWarning]:
        for provider in self.providers.values():
            seen = carrier_events.of(tx, provider.name)
            about = f"send:{provider.name}"
            refusal = newest_refusal(seen)
            if refusal is not None and refusal.at > time.time() - DAY:
                reason = f"A call of the webhook of {provider.title} was refused. {refusal.detail}"
                if ".env" not in refusal.detail:  # else it says itself what to change there
                    reason += (
                        " If it was the carrier's, enter there the address that "
                        f"`{flask_command('webhooks')}` prints."
                    )
                yield HealthWarning("webhook", reason, about)
            error, sent = seen.get(CarrierEventKind.ERROR), seen.get(CarrierEventKind.SENT)
            if error is not None and (sent is None or sent.at < error.at):
                code, _, sentence = error.detail.partition(" ")
                if provider.causes.get(code) in SENDER_CAUSES:
                    yield HealthWarning("sender", _sender(provider, sentence), about)
            check = seen.get(CarrierEventKind.CHECK)
            bad = (
                [one["text"] for one in json.loads(check.detail) if not one["ok"]] if check else []
            )
            if bad:
                again = flask_command("carriers check")
                reason = f"The last check of {provider.title} found: {bad[0]}"
                yield HealthWarning("check", reason, about, f"Then run `{again}`.")

    def _without_device(self, tx: Connection) -> Iterator[HealthWarning]:
        """Numbers whose texts reach no app; on an empty installation the checklist says so."""
        if any(not channel.per_device for channel in self.channels.values()):
            return
        paired = devices.extensions(tx)
        if not paired and not messages.find(tx, limit=1):
            return
        try:
            entries = [entry for entry in self.settings.all() if entry.enabled]
        except StorageUnwell:  # the check of the settings says so
            return
        mute = [
            (entry.number, extensions)
            for entry in entries
            if (extensions := self.settings.extensions_of(entry.number))
            and not self.settings.emails_of(entry.number)
            and not paired.intersection(extensions)
        ]
        if mute:
            number, extensions = mute[0]
            more = f", and so it is with {len(mute) - 1} more" if len(mute) > 1 else ""
            command = flask_command(f"devices pair {extensions[0]}")
            reason = (
                f"Nobody is notified of texts to {number}: no extension of it has an app{more}."
            )
            yield HealthWarning("no_device", reason, remedy=f"Pair one: `{command}`.")


def _sender(provider: Provider, sentence: str) -> str:
    command = flask_command("carriers check")
    return (
        f"{provider.title} refused the last text because of the number that sent it: "
        f"{without_numbers(sentence)} `{command}` says which numbers it has; correct the carrier "
        "in Message Settings, or the number there."
    )


def _failing(found: list[Failing], paused: Collection[str]) -> Iterator[HealthWarning]:
    for one in found:
        if one.destination in paused:
            continue
        count = f"{one.count} {'delivery' if one.count == 1 else 'deliveries'}"
        remedy = REMEDIES.get(one.destination.partition(":")[0], "")
        reason = (
            f"{count} to {one.destination} failed and will be tried again: "
            f"{without_numbers(one.error)} {remedy}".rstrip()
        )
        yield HealthWarning("failing", reason, one.destination)


def _without_address(tx: Connection) -> Iterator[HealthWarning]:
    """Phones whose push address has ended: they get no notifications until they are opened."""
    ended = devices.without_address(tx, LISTED + 1)
    if not ended:
        return
    names = ", ".join(f"“{one.name}” of {one.extension}" for one in ended[:LISTED])
    more = " and others" if len(ended) > LISTED else ""
    command = flask_command(f"devices revoke {ended[0].id}")
    reason = (
        f"{names}{more} get no notifications any more: {ended[0].last_error} Open the app there "
        "and switch notifications on, or remove it."
    )
    yield HealthWarning("device", reason, remedy=f"To remove it: `{command}`.")


def _clock(tx: Connection) -> Iterator[HealthWarning]:
    for one in sightings.of(tx, Subject.CLOCK):
        ahead = float(one.text)
        if one.at < time.time() - DAY or abs(ahead) <= CLOCK_SECONDS:
            continue
        side = "ahead of" if ahead > 0 else "behind"
        reason = (
            f"This machine's clock is {abs(ahead):.0f} seconds {side} that of the carriers: "
            "signatures fail and times are wrong. Set it by a time server: timedatectl set-ntp true"
        )
        yield HealthWarning("clock", reason)


def without_numbers(sentence: str) -> str:
    """A sentence of a carrier or server without the number of a person that it may quote."""
    return _LONG_NUMBERS.sub("…", sentence)
