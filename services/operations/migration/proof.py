"""Proof texts: one to a phone of the administrator's through each migrated number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, select

from services.core.errors import RequestRefused
from services.core.messages import Message, Status
from services.message_settings import MessageSettings, NumberSetting
from services.messaging.compose import Composer
from services.messaging.opt_out import send_job
from services.store import jobs, messages
from services.store.database.schema import messages as messages_table
from services.store.database.store import Store


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of the proof of a number; ``refused`` is the reason why it was not sent."""

    number: str
    message_id: str = ""
    refused: str = ""
    has_ended: bool = False  # the others would be refused for the same reason


@dataclass(eq=False)
class Proofs:
    """Sends proof texts, with all checks and limits of other texts."""

    store: Store
    settings: MessageSettings
    composer: Composer
    app_name: str

    def waiting(self, numbers: Iterable[str], to: str) -> list[NumberSetting]:
        """The entries of these numbers that are in use and through which no proof was sent yet."""
        entries = (self.settings.for_number(number) for number in numbers)
        usable = [entry for entry in entries if entry is not None and entry.enabled]
        return [one for one in usable if not self.store.read(partial(self._was_sent, one, to))]

    def send(self, entries: Iterable[NumberSetting], to: str) -> Iterator[Proof]:
        """Queue a text through each; ends where a limit on sending is reached."""
        for entry in entries:
            proof = self.store.write(partial(self._send, entry, to))
            yield proof
            if proof.has_ended:
                return

    def _text(self, entry: NumberSetting) -> str:
        return f"{self.app_name}: this text came through {entry.number}."

    def _send(self, entry: NumberSetting, to: str, tx: Connection) -> Proof:
        message = Message(
            direction="out",
            number=entry.number,
            peer=to,
            text=self._text(entry),
            status=Status.QUEUED,
        )
        try:
            self.composer.limits.check_peer(tx, to)
            checked = self.composer.checks.checked(tx, entry, message)
        except RequestRefused as error:
            return Proof(entry.number, refused=str(error), has_ended=error.status == 429)
        self.composer.limits.count_peer(tx, to, 1)
        stored = messages.add_outbound(tx, checked, "")
        jobs.add(tx, [send_job(stored)])
        return Proof(entry.number, stored.id)

    def _was_sent(self, entry: NumberSetting, to: str, tx: Connection) -> bool:
        statement = select(messages_table.c.id).where(
            messages_table.c.number == entry.number,
            messages_table.c.peer == to,
            messages_table.c.direction == "out",
            messages_table.c.text == self._text(entry),
            messages_table.c.status != str(Status.FAILED),
        )
        return tx.execute(statement.limit(1)).first() is not None
