"""F25, G26: a mail server that refuses, hangs, hangs up, and is away for a day."""

from collections import Counter, deque
from threading import Event
from time import time

from services.delivery.worker import SLOTS
from tests.fakes.mailbox import Mailbox
from tests.postgres import free_port
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.clock_jumps import Timeless
from torture.clock import WallClock
from torture.ground import DESK, Ground, demand, wait_for, wait_until
from torture.traffic import Carrier, open_jobs, rows

HOUR = 3600
LATER = (b"421 too busy\r\n", b"450 try later\r\n", b"451 greylisted\r\n", b"452 full\r\n")
NEVER = (b"550 no\r\n", b"552 too large\r\n", b"554 spam\r\n")
HANG_UP, TAKE_AND_HANG_UP, HANG = b"before", b"after", b"hang"
DEAD = "SELECT message_id, error FROM jobs WHERE kind = 'email' AND state = 'dead'"
BESIDE = 20  # texts that come while mails hang
PATIENCE = 900.0  # seconds, for thousands of mails on a machine that is busy


class Moody(Mailbox):
    """A mail server that answers the next mails, and before them the next recipients, oddly."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.moods: deque[bytes] = deque()
        self.strict: deque[bytes] = deque()
        self.hanging = 0
        self.goes_on = Event()  # what hangs is hung up

    def _hear(self, line: bytes) -> bytes:
        if line[:4].upper() == b"RCPT" and self.strict:
            return self.strict.popleft()
        return super()._hear(line)

    def _take(self, content: bytes) -> bytes:
        mood = self.moods.popleft() if self.moods else b""
        if mood == HANG_UP:
            raise ConnectionResetError
        if mood == HANG:
            with self._changed:
                self.hanging += 1
            self.goes_on.wait()
            raise ConnectionResetError
        if mood == TAKE_AND_HANG_UP:
            super()._take(content)
            raise ConnectionResetError
        return mood or super()._take(content)


def run(ground: Ground, scale: Scale) -> Figures:
    """Mail every text: for a day to nobody, and then to a moody server."""
    texts, times = scale.pick((60, 1), (5000, 20))
    port, clock = free_port(), WallClock(ground.folder)
    ground.receiver = ground.enter(Timeless())
    server = ground.started(
        numbers=[{**DESK, "emails": ["desk@example.com"]}], MAIL_PORT=str(port), **clock.env
    )
    carrier = Carrier(server)

    def tried() -> bool:
        """Whether all mails that are due were tried."""
        due = "SELECT min(due) FROM jobs WHERE kind = 'email' AND state IN ('due', 'leased')"
        first = rows(server.storage, due)[0][0]
        return first is None or float(first) > time() + clock.ahead

    def come(first: int, last: int) -> None:
        """Texts come in, and are pushed."""
        carrier.send(range(first, last), lines=4)
        wait_for(lambda: len(set(ground.receiver.ids)), last, "the pushes")

    def pass_by(hours: int) -> None:
        """So much time passes, once all that is due was tried."""
        wait_until(tried, "the next attempt at each mail", PATIENCE)
        clock.skip(hours * HOUR)

    come(0, texts // 2)
    pass_by(4)
    come(texts // 2, texts)  # tried four times in vain, and not given up yet
    for hours in (4, 8, 8):
        pass_by(hours)
    wait_for(lambda: len(rows(server.storage, DEAD)), texts // 2, "the ends of the old mails")
    wait_until(tried, "the next attempt at each mail", PATIENCE)
    mailbox = Moody(port)
    ground.enter(mailbox)
    clock.skip(3 * HOUR)
    wait_until(lambda: not open_jobs(server.storage, "email"), "the end of all mails", PATIENCE)
    demand(len(mailbox.mails) == texts - texts // 2, f"{len(mailbox.mails)} mails came")

    hung = SLOTS + BESIDE
    mailbox.moods.extend([HANG] * hung)
    come(texts, texts + SLOTS)
    wait_until(lambda: mailbox.hanging == SLOTS, "a mail server that hangs")
    come(texts + SLOTS, texts + hung)
    waited = mailbox.hanging - SLOTS
    demand(waited == 0, f"{waited} mails that hung were given up before the others were pushed")
    if scale is Scale.FULL:
        wait_until(lambda: mailbox.hanging > SLOTS, "the end of Textbridge's patience")
    mailbox.moods.clear()
    mailbox.goes_on.set()

    moods = [*LATER, *NEVER, HANG_UP, TAKE_AND_HANG_UP] * times
    refused = len(NEVER) * times
    mailbox.moods.extend(moods)
    mailbox.strict.extend([b"450 later\r\n", b"550 nobody\r\n"] * times)
    more = hung + len(moods) + 2 * times
    come(texts + hung, texts + more)
    for _ in range(4):
        pass_by(3)
    wait_until(lambda: not open_jobs(server.storage, "email"), "the end of all mails")
    mails = Counter(mail["Message-ID"] for mail in mailbox.mails)
    dead = rows(server.storage, DEAD)
    expected = texts // 2 + refused + times
    demand(len(dead) == expected, f"{len(dead)} dead letters instead of {expected}")
    demand(all(error for _, error in dead), "a dead letter has no reason")
    together = len(mails) + len(dead)
    demand(together == texts + more, f"{together} of {texts + more} mails came or were given up")
    repeated = mails.total() - len(mails)
    demand(repeated <= times, f"{repeated} mails came twice; of {times} the answer was lost")
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
        "When the mail server is away for a day, refuses, hangs or hangs up, each mail comes or "
        "is given up with its reason, and no push waits for it."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/mail/mailer.py",
            "final if code >= 500 else Kind.RETRY",
            "final",
            "a mail that is put off is given up",
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
