"""Facts on one message for its verdict: its history, pauses, devices, readers, carrier's calls."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from services.core.authors import is_address
from services.core.local_time import LocalTime
from services.core.messages import Device, Message
from services.message_settings import MessageSettings
from services.message_settings.rules import Decision
from services.messaging.route import Router
from services.operations import timeline
from services.operations.carrier_status import newest_refusal
from services.operations.timeline import MessageHistory
from services.store import (
    blocked_senders,
    carrier_events,
    circuit_breakers,
    conversation_marks,
    conversations,
    devices,
    workers,
)
from services.store.carrier_events import CarrierEvent
from services.store.circuit_breakers import Pause
from services.store.database import clock
from services.store.database.store import Store
from services.store.jobs import Job
from services.store.workers import WORKER_SILENT_SECONDS


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a message at one moment; ``now`` is the database's clock.

    ``pauses`` are those in force by their destinations, ``devices`` those of the extensions that
    get it, ``readers`` the extensions that have read it. ``refusal`` is the carrier's last call
    that was refused, unless an authentic one came since. ``names`` are those of extensions.
    """

    history: MessageHistory
    decision: Decision
    now: float
    has_worker: bool
    pauses: Mapping[str, Pause]
    is_blocked: bool
    muted: frozenset[str]
    devices: tuple[Device, ...]
    readers: tuple[str, ...]
    refusal: CarrierEvent | None
    local_time: LocalTime
    names: Mapping[str, str]

    def with_message(self, message: Message) -> "Facts":
        """The facts with a newer state of the message."""
        return replace(self, history=replace(self.history, message=message))

    def pause_of(self, job: Job) -> Pause | None:
        """The pause of the destination of a job, if it has one."""
        return self.pauses.get(job.destination)

    def failed(self, job: Job) -> bool:
        """Whether an attempt at a job has failed."""
        return any(attempt.job_id == job.id for attempt in self.history.failures)

    def known(self, **more: str) -> dict[str, str]:
        """What is known of the message, by the names that ``verdicts.toml`` has in braces."""
        message = self.history.message
        extensions = more.get("extension", "").split(", ")
        return {
            "id": message.id,
            "peer": ", ".join(message.participants) or message.peer,
            "number": message.number,
            "carrier": timeline.CARRIERS.get(message.provider, message.provider),
            "carrier_key": message.provider,
            "carrier_id": message.provider_id or "(none)",
            "reason": message.error_reason or "",
            "person": ", ".join(map(self._person, filter(None, extensions))),
            **more,
        }

    def _person(self, author: str) -> str:
        """An extension by the name of its person, or an address, in the middle of a sentence."""
        return self.names.get(author) or (author if is_address(author) else f"extension {author}")

    def at(self, moment: float | None) -> str:
        """A time for people."""
        return self.local_time.text(moment) if moment is not None else ""


def load(
    store: Store,
    settings: MessageSettings,
    router: Router,
    local_time: LocalTime,
    message_id: str,
) -> Facts:
    """The facts on a message. Raises ``RequestRefused`` where there is none."""
    return store.read(
        partial(_load, settings=settings, router=router, local_time=local_time, known=message_id)
    )


def _load(
    tx: Connection, settings: MessageSettings, router: Router, local_time: LocalTime, known: str
) -> Facts:
    history = timeline.history(tx, known)
    message = history.message
    now = clock.now(tx)
    decision = router.decide(message.number, message.peer, message.text, message.created_at)
    muted = conversation_marks.muted_in(tx, [message.conversation_id])
    pauses = circuit_breakers.unwell(tx)
    return Facts(
        history,
        decision,
        now,
        has_worker=workers.silence(tx) <= WORKER_SILENT_SECONDS,
        pauses={pause.name: pause for pause in pauses if pause.config or pause.until > now},
        is_blocked=blocked_senders.blocks(tx, message.number, message.peer),
        muted=muted.get(message.conversation_id, frozenset()),
        devices=tuple(devices.of(tx, decision.all_extensions)),
        readers=tuple(conversations.readers(tx, message.conversation_id, message.seq)),
        refusal=newest_refusal(carrier_events.of(tx, message.provider)),
        local_time=local_time,
        names=settings.names,
    )
