"""Why a text did not arrive: finds the message and gives the verdict on it, for ``flask why``.

The verdict is from what is stored here. Only where it is asked for, the carrier is asked as well.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from services.core.durations import DAY
from services.core.errors import SendError
from services.core.local_time import LocalTime
from services.core.messages import Message, Status
from services.message_settings import MessageSettings
from services.messaging.access import ConversationAccess
from services.messaging.route import Router
from services.operations import verdict_facts
from services.operations.carrier_status import CarrierStatus
from services.operations.inbound_verdict import inbound_verdicts
from services.operations.message_query import MessageQuery
from services.operations.missing_verdict import missing_verdict
from services.operations.outbound_verdict import outbound_verdict
from services.operations.stray_webhooks import StrayWebhooks
from services.operations.verdict_facts import Facts
from services.operations.verdict_table import Verdict, verdict
from services.providers import PROVIDERS
from services.providers.base import Provider
from services.push.base import Channel
from services.store import messages
from services.store.database.store import Store

SHOWN = 10  # messages among which the administrator chooses
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"[+()\d\s.\-/]*\d[+()\d\s.\-/]*")
_CARRIERS_ID = re.compile(r"[\w.:-]{8,128}")
LISTED_SECONDS = DAY  # how far back a carrier's list of inbound messages is read
ASKED = {Status.SENDING, Status.UNKNOWN, Status.SENT, Status.FAILED, Status.DELIVERED}


@dataclass(frozen=True, slots=True)
class Matches:
    """The messages that fit what was typed, newest first; ``more``: there are further ones.

    ``peer`` is the phone number that was typed, if it was one.
    """

    messages: list[Message]
    more: bool = False
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict on a message, and what else is known: other devices, other files."""

    verdict: Verdict
    also: tuple[Verdict, ...] = ()


@dataclass(eq=False)
class Why:
    """Finds messages by what an administrator has in hand, and says what became of them."""

    store: Store
    settings: MessageSettings
    router: Router
    access: ConversationAccess
    providers: Mapping[str, Provider]
    channels: Mapping[str, Channel]
    query: MessageQuery
    carrier_status: CarrierStatus
    strays: StrayWebhooks
    local_time: LocalTime

    def find(self, typed: str) -> Matches:
        """The messages of an id, of a carrier's id, of a number, or with these words.

        Raises ``RequestRefused`` for what cannot be looked for, and ``StorageUnwell``.
        """
        typed = typed.strip()
        if _ID.fullmatch(typed):
            found = self.store.read(lambda tx: messages.by_id(tx, typed.lower()))
            if found is not None:
                return Matches([found])
        if _NUMBER.fullmatch(typed):
            wanted = self.query.parse({"either": typed})
        else:
            named = self.store.read(partial(_by_carrier_id, typed=typed))
            if named:
                return Matches(named)
            wanted = self.query.parse({"text": typed.rstrip("…. ")})
        page = self.query.page(wanted, SHOWN)
        return Matches(page.messages, page.before is not None, wanted.either or "")

    def answer(self, message_id: str, *, ask: bool = False) -> Answer:
        """The verdict on a message; with ``ask`` the carrier is asked what it knows now.

        Raises ``RequestRefused`` where there is no such message, and ``StorageUnwell``.
        """
        facts = verdict_facts.load(
            self.store, self.settings, self.router, self.local_time, message_id
        )
        message = facts.history.message
        if message.direction == "in":
            first, *also = inbound_verdicts(facts, self.settings, self.access, self.channels)
            return Answer(first, tuple(also))
        own = outbound_verdict(facts, message, self.providers)
        provider = self.providers.get(message.provider)
        if not ask or provider is None:
            return Answer(own)
        return self._asked(facts, message, provider, own)

    def nothing_found(self, peer: str = "", *, ask: bool = False) -> Verdict:
        """Why a text of a person may never have come here; with ``ask`` carriers list theirs.

        Raises ``StorageUnwell``.
        """
        if ask and peer:
            since = time.time() - LISTED_SECONDS
            for provider in self.providers.values():
                found = self._listed(provider, peer, since) if provider.keeps_inbound else None
                if found is not None:
                    return found
        return missing_verdict(self.store, self.carrier_status, self.strays)

    def _asked(self, facts: Facts, message: Message, provider: Provider, own: Verdict) -> Answer:
        """The verdict by what the carrier says now, before the one by what is stored."""
        can_look_up = time.time() < message.created_at + provider.lookup_seconds
        if message.status not in ASKED or not can_look_up:
            bad = [one.text for one in self.carrier_status.check(provider) if not one.ok]
            said = [verdict("check_failed", facts.known(reason=text)) for text in bad]
            return Answer(said[0], (*said[1:], own)) if said else Answer(own)
        try:
            found = provider.find_sent(message)
        except SendError as error:
            return Answer(own, (verdict("not_answering", facts.known(reason=error.reason)),))
        if found is None:
            return Answer(verdict("no_trace", facts.known()), (own,))
        now = replace(
            message, status=found.status, error_code=found.code, error_reason=found.reason
        )
        newest = outbound_verdict(facts.with_message(now), now, self.providers)
        return Answer(newest, () if newest.code == own.code else (own,))

    def _listed(self, provider: Provider, peer: str, since: float) -> Verdict | None:
        """The verdict that a carrier lists texts of a person that are not stored, if it does."""
        try:
            listed = [one for one in provider.missed(since) if isinstance(one, Message)]
        except SendError as error:
            known = {"carrier": provider.title, "reason": error.reason}
            return verdict("not_answering", known)
        absent = [
            one
            for one in listed
            if one.provider_id
            and self.query.same_person(one.peer, peer)
            and not self.store.read(
                partial(messages.by_carrier_id, provider=provider.name, provider_id=one.provider_id)
            )
        ]
        if not absent:
            return None
        count = f"{len(absent)} text{'s' if len(absent) > 1 else ''}"
        day = self.local_time.of(since).date().isoformat()
        known = {"carrier": provider.title, "count": count, "peer": peer, "since": day}
        return verdict("carrier_has_it", known)


def _by_carrier_id(tx: Connection, typed: str) -> list[Message]:
    if not _CARRIERS_ID.fullmatch(typed):
        return []
    return [
        message
        for provider in PROVIDERS
        for message in messages.by_carrier_id(tx, provider.name, typed)
    ]
