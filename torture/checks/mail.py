"""F25, G26: a mail server that refuses, hangs, closes connections, or is down for a day."""

from collections import Counter, deque
from threading import Event
from time import time
from typing import Any

from services.delivery.worker import SLOTS
from tests.fakes.mailbox import Mailbox
from tests.postgres import free_port
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.clock_jumps import ClocklessReceiver
from torture.clients import CarrierClient
from torture.clock import WallClock
from torture.database import open_jobs, query
from torture.environment import (
    NUMBER_SETTINGS,
    TestEnvironment,
    require,
    wait_for_count,
    wait_until,
)

HOUR = 3600
RETRYABLE = (b"421 too busy\r\n", b"450 try later\r\n", b"451 greylisted\r\n", b"452 full\r\n")
REFUSED = (b"550 no\r\n", b"552 too large\r\n", b"554 spam\r\n")
CLOSE, ACCEPT_AND_CLOSE, HANG = b"close", b"accept and close", b"hang"
DEAD = "SELECT message_id, error FROM jobs WHERE kind = 'email' AND state = 'dead'"
BESIDE = 20  # texts that are posted while mails hang
TIMEOUT = 900.0  # seconds, for thousands of mails on a machine that is busy


class FaultyMailbox(Mailbox):
    """Fake mail server with planned answers: to the next mails, and before to recipients."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.mail_answers: deque[bytes] = deque()
        self.recipient_answers: deque[bytes] = deque()
        self.hanging = 0
        self.end_hanging = Event()  # closes the connections that hang

    def _hear(self, line: bytes) -> bytes:
        if line[:4].upper() == b"RCPT" and self.recipient_answers:
            return self.recipient_answers.popleft()
        return super()._hear(line)

    def _take(self, content: bytes) -> bytes:
        answer = self.mail_answers.popleft() if self.mail_answers else b""
        if answer == CLOSE:
            raise ConnectionResetError
        if answer == HANG:
            with self._changed:
                self.hanging += 1
            self.end_hanging.wait()
            raise ConnectionResetError
        if answer == ACCEPT_AND_CLOSE:
            super()._take(content)
            raise ConnectionResetError
        return answer or super()._take(content)


class MailScenario:
    """One server with a fake clock; every text is pushed and mailed."""

    def __init__(self, environment: TestEnvironment) -> None:
        self.port, self.clock = free_port(), WallClock(environment.folder)
        self.receiver = environment.receiver = environment.enter(ClocklessReceiver())
        self.server: Server = environment.start_server(
            numbers=[{**NUMBER_SETTINGS, "emails": ["desk@example.com"]}],
            MAIL_PORT=str(self.port),
            **self.clock.env,
        )
        self.carrier = CarrierClient(self.server)

    def post(self, first: int, last: int) -> None:
        """Post texts, and wait until they are pushed."""
        self.carrier.send(range(first, last), connections=4)
        wait_for_count(lambda: len(set(self.receiver.ids)), last, "the pushes")

    def wait_for_attempts(self) -> None:
        """Wait until all mails that are due were tried."""
        wait_until(self._all_tried, "the next attempt at each mail", TIMEOUT)

    def _all_tried(self) -> bool:
        due = "SELECT min(due) FROM jobs WHERE kind = 'email' AND state IN ('due', 'leased')"
        first = query(self.server.storage, due)[0][0]
        return first is None or float(first) > time() + self.clock.ahead

    def advance(self, hours: int) -> None:
        """Advance the clock once all mails that are due were tried."""
        self.wait_for_attempts()
        self.clock.advance(hours * HOUR)

    def wait_for_end(self, seconds: float = 180.0) -> None:
        """Wait until no mail is due any more."""
        wait_until(
            lambda: not open_jobs(self.server.storage, "email"), "the end of all mails", seconds
        )

    def dead_letters(self) -> list[Any]:
        """The mails that were given up, with their errors."""
        return query(self.server.storage, DEAD)

    def without_server(self, texts: int) -> None:
        """Post texts while there is no mail server; the first half of the mails is given up."""
        self.post(0, texts // 2)
        self.advance(4)
        self.post(texts // 2, texts)  # tried four times without success, and not given up yet
        for hours in (4, 8, 8):
            self.advance(hours)
        wait_for_count(lambda: len(self.dead_letters()), texts // 2, "the ends of the old mails")
        self.wait_for_attempts()

    def with_hanging_server(self, mailbox: FaultyMailbox, first: int, scale: Scale) -> int:
        """Post texts while mails hang: pushes must not wait; returns the number of texts."""
        hung = SLOTS + BESIDE
        mailbox.mail_answers.extend([HANG] * hung)
        self.post(first, first + SLOTS)
        wait_until(lambda: mailbox.hanging == SLOTS, "a mail server that hangs")
        self.post(first + SLOTS, first + hung)
        waited = mailbox.hanging - SLOTS
        require(
            waited == 0, f"{waited} mails that hung were given up before the others were pushed"
        )
        if scale is Scale.FULL:
            wait_until(lambda: mailbox.hanging > SLOTS, "the end of Textbridge's patience")
        mailbox.mail_answers.clear()
        mailbox.end_hanging.set()
        return hung

    def with_faulty_server(self, mailbox: FaultyMailbox, first: int, times: int) -> int:
        """Post one text for each faulty answer; returns the number of texts."""
        answers = [*RETRYABLE, *REFUSED, CLOSE, ACCEPT_AND_CLOSE] * times
        mailbox.mail_answers.extend(answers)
        mailbox.recipient_answers.extend([b"450 later\r\n", b"550 nobody\r\n"] * times)
        texts = len(answers) + 2 * times
        self.post(first, first + texts)
        for _ in range(4):
            self.advance(3)
        self.wait_for_end()
        return texts


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Mail every text: for a day without a mail server, then with one that hangs and refuses."""
    texts, times = scale.pick((60, 1), (5000, 20))
    this = MailScenario(environment)
    this.without_server(texts)
    mailbox = FaultyMailbox(this.port)
    environment.enter(mailbox)
    this.clock.advance(3 * HOUR)
    this.wait_for_end(TIMEOUT)
    require(len(mailbox.mails) == texts - texts // 2, f"{len(mailbox.mails)} mails came")
    total = texts + this.with_hanging_server(mailbox, texts, scale)
    total += this.with_faulty_server(mailbox, total, times)

    mails = Counter(mail["Message-ID"] for mail in mailbox.mails)
    dead = this.dead_letters()
    expected = texts // 2 + len(REFUSED) * times + times
    require(len(dead) == expected, f"{len(dead)} dead letters instead of {expected}")
    require(all(error for _, error in dead), "a dead letter has no reason")
    together = len(mails) + len(dead)
    require(together == total, f"{together} of {total} mails came or were given up")
    repeated = mails.total() - len(mails)
    require(repeated <= times, f"{repeated} mails came twice; of {times} the answer was lost")
    return {
        "mails": together,
        "came": len(mails),
        "given up with a reason": len(dead),
        "repeated with the same id, as their answer was lost": repeated,
        "pushed while as many mails hung as may": BESIDE,
    }


CHECK = Check(
    name="mail",
    claim=(
        "When the mail server is down for a day, refuses, hangs or closes connections, each "
        "mail is delivered or given up with a reason, and no push waits for it."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/mail/smtp_errors.py",
            "decision if code >= 500 else Kind.RETRY",
            "decision",
            "a deferred mail is given up",
        ),
        Mutant(
            "services/delivery/outcome.py",
            "time.time() - job.created_at < GIVE_UP_SECONDS:",
            "job.attempts < 4:",
            "a mail is given up after four attempts",
        ),
        Mutant(
            "services/delivery/worker.py",
            "return SLOTS - self._in_hand[destination]",
            "return SLOTS - self._in_hand.total()",
            "pushes wait for mails that hang",
        ),
    ),
)
