"""G2: killed at the moments that hurt most, which the other side knows: it has the request.

The points are those of docs/reliability.md. Here the world around kills (K1, K7-K9, K13-K16);
``syscall_kills`` has the others.
"""

import os
import random
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests.fakes.bandwidth import FakeBandwidth, Odd, Place, Trouble
from tests.fakes.mailbox import Mailbox
from tests.fakes.receiver import Receiver
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import DESK, HOOK, NUMBER, Ground, delivering, demand, serving, wait_until
from torture.traffic import App, Carrier, Line, integrity, kept, open_jobs, sent

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2


class Trap:
    """Kills, once, when one of the fakes has come to the moment for which it is set."""

    def __init__(self) -> None:
        self._moment = ""
        self._kill: Callable[[], None] = lambda: None
        self._delay = 0.0
        self._lock = threading.Lock()
        self.sprung = threading.Event()

    def set(self, moment: str, kill: Callable[[], None], delay: float = 0.0) -> None:
        """Kill at the next such moment; with a ``delay`` (seconds) go on meanwhile."""
        with self._lock:
            self._moment, self._kill, self._delay = moment, kill, delay
            self.sprung.clear()

    def at(self, moment: str) -> None:
        """A fake has come to a moment."""
        with self._lock:
            if moment != self._moment:
                return
            self._moment = ""
        threading.Timer(self._delay, self._spring).start() if self._delay else self._spring()

    def _spring(self) -> None:
        self._kill()
        self.sprung.set()


class TrappedBandwidth(FakeBandwidth):
    """A carrier that knows when it was asked for a token, a message or a file."""

    def __init__(self, trap: Trap) -> None:
        super().__init__(expires_in=1, pause=0.05)  # a new token for each message
        self._trap = trap

    def odd_for(self, place: Place) -> Odd | None:
        self._trap.at(place)
        return super().odd_for(place)

    def take(self, content_type: str, body: bytes) -> Any:
        taken = super().take(content_type, body)
        self._trap.at("taken")
        return taken


class TrappedReceiver(Receiver):
    """An app's server that knows when it has a push."""

    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self._trap = trap

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        status = super()._take(headers, body)
        self._trap.at("push")
        return status


class TrappedMailbox(Mailbox):
    """A mail server that knows when it has a mail."""

    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self._trap = trap

    def _take(self, content: bytes) -> bytes:
        answer = super()._take(content)
        self._trap.at("mail")
        return answer


class Street:
    """One server with trapped fakes around it; each method is one kind of thing that is under way
    when it is killed, and waits until it has come to its end."""

    def __init__(self, ground: Ground) -> None:
        self.trap = Trap()
        ground.bandwidth = ground.enter(TrappedBandwidth(self.trap))
        ground.receiver = ground.enter(TrappedReceiver(self.trap))
        ground.mailbox = ground.enter(TrappedMailbox(self.trap))
        self.ground = ground
        self.server: Server = ground.started(
            numbers=[{**DESK, "emails": ["desk@example.com"]}], BANDWIDTH_AUTH="oauth2"
        )
        self.app = App(self.server)
        self.carrier = Carrier(self.server)
        self.line = Line(self.server)
        self.texts = 0
        self.replies: list[str] = []  # their ids
        self.kills: Counter[str] = Counter()
        self.chance = random.Random(2)

    def kill(self, point: str, moment: str, do: Callable[[], None], *, delay: float = 0.0) -> None:
        """Do something, have the delivering worker or (every other time) the tree killed at a
        moment, and wait for the end of it."""
        whole = self.kills.total() % 2 == 1
        pid = delivering(self.server)
        killer = self.server.kill_tree if whole else lambda: os.kill(pid, signal.SIGKILL)
        self.trap.set(moment, killer, delay)
        do()
        demand(self.trap.sprung.wait(180), f"{point}: nothing came to “{moment}”")
        if whole:
            self.server.start()
        self.kills[point] += 1

    def text(self) -> None:
        """A text comes in."""
        self.texts += 1
        self.carrier.insist(self.line, self.texts)

    def pushed(self) -> None:
        """Wait until the last text was pushed and mailed, and what was killed has been repeated, so
        that the next kill does not hit it again."""
        wait_until(lambda: len(self.pushes()) >= self.texts, "the push of a text")
        wait_until(lambda: len(self.mails()) >= self.texts, "the mail of a text")
        storage = self.server.storage
        for kind in ("push", "email"):
            wait_until(partial(_none, storage, kind), f"the end of each job of the kind {kind}")

    def reply(self) -> None:
        """The app answers."""
        self.replies.append(self.app.reply(f"c{len(self.replies)}"))

    def ended(self) -> None:
        """Wait until it is known, or visibly unknown, what became of the last reply."""
        last = self.replies[-1]
        wait_until(
            lambda: self.app.status(last) in ("sent", "delivered", "unknown"), "the end of a reply"
        )

    def picture(self) -> None:
        """A picture comes in, slowly."""
        self.texts += 1
        bandwidth = self.ground.bandwidth
        url = bandwidth.offer(f"{self.texts}.png", "image/png", PICTURE)
        bandwidth.next("media", Trouble.DRIP)
        post = bandwidth.receive(
            f"bench {self.texts}",
            sender="+13035550177",
            to=NUMBER,
            media=[url],
            message_id=f"1772442904003{self.texts:014}",
        )
        demand(post.taken, "a picture was not taken")

    def fetched(self) -> None:
        """Wait until the last picture is there, whole."""

        def file() -> dict[str, Any] | None:
            items = self.app.call("GET", "/conversations?limit=1")[1].get("items") or [{}]
            files = (items[0].get("last_message") or {}).get("media") or [{}]
            return files[0] if files[0].get("state") == "kept" else None

        found = wait_until(file, "a picture")
        assert found is not None
        path = found["url"].partition("/media/")[2]
        content = requests.get(f"{self.server.url}/media/{path}", timeout=10).content
        demand(content == PICTURE, f"the app sees {len(content)} of {len(PICTURE)} bytes")

    def half_a_webhook(self) -> None:
        """The web process is killed with half a webhook read; the carrier posts it again."""
        with socket.create_connection(("127.0.0.1", self.server.port)) as half:
            head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            half.sendall(head.encode() + b'Content-Length: 400\r\n\r\n[{"type": "message-')
            os.kill(serving(self.server)[0], signal.SIGKILL)
        self.kills["K1"] += 1
        self.text()

    def pushes(self) -> Counter[str]:
        """How often each text was pushed, by its message."""
        return Counter(i for i in list(self.ground.receiver.ids) if i.endswith("_received"))

    def mails(self) -> Counter[str]:
        """How often each mail came, by its ``Message-ID``."""
        return Counter(mail["Message-ID"] for mail in list(self.ground.mailbox.mails))


def _none(storage: Path, kind: str) -> bool:
    return not open_jobs(storage, kind)


def run(ground: Ground, scale: Scale) -> Figures:
    """Kill at each point, again and again, and count once everything has come to its end."""
    street = Street(ground)
    for _ in range(scale.pick(1, 20)):
        soon = street.chance.uniform(0.001, 0.02)
        street.half_a_webhook()
        street.pushed()
        for point, moment, delay in (
            ("K7", "push", 0.0), ("K8", "push", soon), ("K16", "mail", 0.0), ("K16", "mail", soon),
        ):  # fmt: skip
            street.kill(point, moment, street.text, delay=delay)
            street.pushed()
        street.kill("K9", "media", street.picture, delay=0.3)
        street.fetched()
        street.pushed()
        for point, moment, delay in (
            ("K13", "token", 0.0), ("K14", "taken", 0.0), ("K15", "taken", soon),
        ):  # fmt: skip
            street.kill(point, moment, street.reply, delay=delay)
            street.ended()
    street.server.stop()
    left = sent(street.server.storage)
    pushes, mails = street.pushes(), street.mails()
    taken = Counter(message["text"] for message in ground.bandwidth.accepted)
    untrue = {text: status for text, status in left.items() if text not in taken}
    stored = kept(street.server.storage)
    demand(sorted(stored) == list(range(1, street.texts + 1)), "texts are lost or kept twice")
    demand(len(pushes) == len(mails) == street.texts, "a text was not pushed or not mailed")
    demand(max(pushes.values()) <= 2, "one kill repeated a push more than once")
    demand(max(mails.values()) <= 2, "one kill repeated a mail more than once")
    demand(max(taken.values()) == 1, f"{taken.total() - len(taken)} replies were sent twice")
    demand(
        len(left) == len(street.replies), f"{len(left)} of {len(street.replies)} replies are kept"
    )
    demand(set(untrue.values()) <= {"unknown"}, f"shown though never sent: {untrue}")
    demand(integrity(street.server.storage) == "ok", integrity(street.server.storage))
    return {
        "points": len(street.kills),
        "kills": street.kills.total(),
        "lost": 0,
        "sent twice": 0,
        "replies shown as unknown": sum(status == "unknown" for status in left.values()),
        "pushes repeated with the same id": pushes.total() - len(pushes),
        "mails repeated with the same id": mails.total() - len(mails),
    }


CHECK = Check(
    name="kill_points",
    claim="Killed while somebody else has the request: nothing is lost, no reply is sent twice.",
    run=run,
    mutants=(
        Mutant(
            "services/delivery/outcome.py",
            "if job.kind is JobKind.SEND and job.started:",
            "if False:",
            "a send that was interrupted is done again",
        ),
        Mutant(
            "services/mail/mailer.py",
            'f"<{message.id}.{_short_hash(recipient)}@{self._domain}>"',
            "f\"<{__import__('uuid').uuid4()}@{self._domain}>\"",
            "a repeated mail has another Message-ID",
        ),
    ),
)
