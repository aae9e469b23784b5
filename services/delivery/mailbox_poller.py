"""Looks into the mailbox for answers; of several workers the one with the lease does.

A mail is marked as read when its text is on disk or its refusal was accepted by the mail server. A
crash before that repeats it without harm. Mails that are not for Textbridge are left as they are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from services.core.errors import MailError, StorageUnwell
from services.delivery.reconnecting import record_pause, sleep_while
from services.delivery.task_leases import TaskLeases
from services.mail.mailbox import CONNECTION_ERRORS, MOST_AT_ONCE, Mailbox, MailboxSession
from services.messaging.mail_replies import MailOutcome, MailReplies
from services.store import circuit_breakers
from services.store.database.store import Store

log = structlog.get_logger()
LEASE = "mailbox"
LEASE_LOOK_SECONDS = 0.5  # between two looks whether this worker has the lease
LOOK_SECONDS = 30.0  # between two looks, also with IDLE
AGAIN_SECONDS = 60.0  # until a mail is looked at again that could not be dealt with
FAULT_SECONDS = 3600.0  # … because of a fault of ours
LONGEST_WAIT = 60.0  # between two attempts to connect
DAYS_BEYOND = 2  # mails older than the longest answer and these days are not looked at


@dataclass(eq=False)
class MailboxPoller:
    """Takes answers from a mailbox; ``days`` is for how long mails can be answered."""

    store: Store
    mailbox: Mailbox
    replies: MailReplies
    days: int
    _validity: int = 0
    _foreign: set[int] = field(default_factory=set)  # numbers of mails that are not for us
    _later: dict[int, float] = field(default_factory=dict)  # when to look at a mail again
    _unmarked: dict[int, MailOutcome] = field(default_factory=dict)  # dealt with, but unread

    def run(self, owner: str, alive: Callable[[], bool]) -> None:
        """Look until ``alive`` says no; ``owner`` is the id of the worker."""
        leases = TaskLeases(self.store, [LEASE], owner)

        def mine() -> bool:
            return alive() and LEASE in leases.held()

        wait = 1.0
        while alive():
            try:
                if not mine():
                    sleep_while(alive, LEASE_LOOK_SECONDS)
                    continue
                with leases.renewed(), self.mailbox.session() as session:
                    self._connected()
                    wait = 1.0
                    self._work(session, mine)
            except MailError as error:
                log.warning("mailbox not open", reason=error.reason)
                record_pause(self.store, circuit_breakers.MAILBOX, error, wait)
            except StorageUnwell as error:
                log.error("mailbox waits for the database", reason=str(error))
            else:
                continue
            sleep_while(alive, wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._release(leases)

    def _work(self, session: MailboxSession, mine: Callable[[], bool]) -> None:
        """Look while ``mine`` says that this worker lives and has the lease."""
        if session.validity != self._validity:
            self._validity = session.validity
            self._foreign.clear()
            self._later.clear()
            self._unmarked.clear()
        while mine():
            self._look(session, mine)
            session.wait(LOOK_SECONDS, mine)

    def _look(self, session: MailboxSession, mine: Callable[[], bool]) -> None:
        """Take all mails that are new, the oldest first."""
        now = time.monotonic()
        unread = session.unread(self.days + DAYS_BEYOND)
        self._foreign &= set(unread)
        self._later = {uid: at for uid, at in self._later.items() if uid in unread}
        new = [one for one in unread if one not in self._foreign and self._later.get(one, 0) <= now]
        for start in range(0, len(new), MOST_AT_ONCE):
            for uid, head in session.heads(new[start : start + MOST_AT_ONCE]).items():
                if not mine():
                    return
                self._take(session, uid, head)

    def _take(self, session: MailboxSession, uid: int, head: bytes) -> None:
        if uid in self._unmarked:
            self._mark(session, uid, self._unmarked[uid])
            return
        try:
            outcome = self.replies.take(head, partial(session.content, uid))
        except MailError as error:
            log.warning("refusal not mailed yet", reason=error.reason)
            self._later[uid] = time.monotonic() + AGAIN_SECONDS
            return
        except CONNECTION_ERRORS:  # a server may fail with one mail again and again
            self._later[uid] = time.monotonic() + AGAIN_SECONDS
            raise
        except StorageUnwell:
            raise
        except Exception:  # one mail must not stop the others
            log.exception("an answer failed unexpectedly")
            self._later[uid] = time.monotonic() + FAULT_SECONDS
            return
        if outcome is MailOutcome.FOREIGN:
            self._foreign.add(uid)
            return
        self._mark(session, uid, outcome)

    def _mark(self, session: MailboxSession, uid: int, outcome: MailOutcome) -> None:
        """Mark a mail as read; where the server refuses that, its sender is not told again."""
        self._unmarked[uid] = outcome
        try:
            session.mark(uid, flagged=outcome in (MailOutcome.REFUSED, MailOutcome.IGNORED))
        except CONNECTION_ERRORS:
            self._later[uid] = time.monotonic() + AGAIN_SECONDS
            raise
        del self._unmarked[uid]

    def _release(self, leases: TaskLeases) -> None:
        try:
            leases.release()
        except StorageUnwell as error:
            log.error("cannot release the mailbox", reason=str(error))

    def _connected(self) -> None:
        self.store.write(lambda tx: circuit_breakers.resume(tx, circuit_breakers.MAILBOX))
        log.info("mailbox open")
