"""G2: kills at critical points, when a fake carrier, app or mail server has the request.

The points are those of docs/reliability.md. Here the fakes trigger the kill (K1, K7-K9, K13-K16);
``syscall_kills`` covers the other points.
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
from torture.clients import AppClient, CarrierClient, HttpClient
from torture.database import integrity_check, open_jobs, reply_statuses, stored_texts
from torture.environment import (
    NUMBER,
    NUMBER_SETTINGS,
    WEBHOOK_PATH,
    TestEnvironment,
    delivery_worker_pid,
    require,
    wait_until,
    web_process_pids,
)

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2


class KillTrigger:
    """Kills once, when a fake reports the event for which the trigger is set."""

    def __init__(self) -> None:
        self._event = ""
        self._kill: Callable[[], None] = lambda: None
        self._delay = 0.0
        self._lock = threading.Lock()
        self.fired = threading.Event()

    def set(self, event: str, kill: Callable[[], None], delay: float = 0.0) -> None:
        """Kill at the next such event, immediately or after a ``delay`` in seconds."""
        with self._lock:
            self._event, self._kill, self._delay = event, kill, delay
            self.fired.clear()

    def event(self, name: str) -> None:
        """Called by a fake when an event happens."""
        with self._lock:
            if name != self._event:
                return
            self._event = ""
        threading.Timer(self._delay, self._fire).start() if self._delay else self._fire()

    def _fire(self) -> None:
        self._kill()
        self.fired.set()


class ObservedBandwidth(FakeBandwidth):
    """Fake carrier that reports requests for a token, a message or a file."""

    def __init__(self, trigger: KillTrigger) -> None:
        super().__init__(expires_in=1, pause=0.05)  # a new token for each message
        self._trigger = trigger

    def odd_for(self, place: Place) -> Odd | None:
        self._trigger.event(place)
        return super().odd_for(place)

    def take(self, content_type: str, body: bytes) -> Any:
        taken = super().take(content_type, body)
        self._trigger.event("taken")
        return taken


class ObservedReceiver(Receiver):
    """Fake app server that reports a push."""

    def __init__(self, trigger: KillTrigger) -> None:
        super().__init__()
        self._trigger = trigger

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        status = super()._take(headers, body)
        self._trigger.event("push")
        return status


class ObservedMailbox(Mailbox):
    """Fake mail server that reports a mail."""

    def __init__(self, trigger: KillTrigger) -> None:
        super().__init__()
        self._trigger = trigger

    def _take(self, content: bytes) -> bytes:
        answer = super()._take(content)
        self._trigger.event("mail")
        return answer


class KillScenario:
    """One server with observed fakes; each method starts one kind of work or waits for its end."""

    def __init__(self, environment: TestEnvironment) -> None:
        self.trigger = KillTrigger()
        environment.bandwidth = environment.enter(ObservedBandwidth(self.trigger))
        environment.receiver = environment.enter(ObservedReceiver(self.trigger))
        environment.mailbox = environment.enter(ObservedMailbox(self.trigger))
        self.environment = environment
        self.server: Server = environment.start_server(
            numbers=[{**NUMBER_SETTINGS, "emails": ["desk@example.com"]}], BANDWIDTH_AUTH="oauth2"
        )
        self.app = AppClient(self.server)
        self.carrier = CarrierClient(self.server)
        self.client = HttpClient(self.server)
        self.texts = 0
        self.replies: list[str] = []  # message ids
        self.kills: Counter[str] = Counter()
        self.chance = random.Random(2)

    def kill(
        self, point: str, event: str, start: Callable[[], None], *, delay: float = 0.0
    ) -> None:
        """Start work, and at an event kill the worker or (every other time) all processes."""
        all_processes = self.kills.total() % 2 == 1
        pid = delivery_worker_pid(self.server)
        killer = self.server.kill_tree if all_processes else lambda: os.kill(pid, signal.SIGKILL)
        self.trigger.set(event, killer, delay)
        start()
        require(self.trigger.fired.wait(180), f"{point}: nothing came to “{event}”")
        if all_processes:
            self.server.start()
        self.kills[point] += 1

    def text(self) -> None:
        """Post a text."""
        self.texts += 1
        self.carrier.post_until_accepted(self.client, self.texts)

    def pushed(self) -> None:
        """Wait until all texts are pushed and mailed, repeats included.

        Without this wait the next kill could interrupt the same job again.
        """
        wait_until(lambda: len(self.pushes()) >= self.texts, "the push of a text")
        wait_until(lambda: len(self.mails()) >= self.texts, "the mail of a text")
        storage = self.server.storage
        for kind in ("push", "email"):
            wait_until(
                partial(_no_open_jobs, storage, kind), f"the end of each job of the kind {kind}"
            )

    def reply(self) -> None:
        """Send a reply from the app."""
        self.replies.append(self.app.reply(f"c{len(self.replies)}"))

    def ended(self) -> None:
        """Wait until the last reply has a final status, which may be ``unknown``."""
        last = self.replies[-1]
        wait_until(
            lambda: self.app.status(last) in ("sent", "delivered", "unknown"), "the end of a reply"
        )

    def picture(self) -> None:
        """Post a text with a picture whose download is slow."""
        self.texts += 1
        bandwidth = self.environment.bandwidth
        url = bandwidth.offer(f"{self.texts}.png", "image/png", PICTURE)
        bandwidth.next("media", Trouble.DRIP)
        post = bandwidth.receive(
            f"bench {self.texts}",
            sender="+13035550177",
            to=NUMBER,
            media=[url],
            message_id=f"1772442904003{self.texts:014}",
        )
        require(post.taken, "a picture was not taken")

    def fetched(self) -> None:
        """Wait until the last picture is stored completely."""

        def file() -> dict[str, Any] | None:
            items = self.app.call("GET", "/conversations?limit=1")[1].get("items") or [{}]
            files = (items[0].get("last_message") or {}).get("media") or [{}]
            return files[0] if files[0].get("state") == "kept" else None

        found = wait_until(file, "a picture")
        assert found is not None
        path = found["url"].partition("/media/")[2]
        content = requests.get(f"{self.server.url}/media/{path}", timeout=10).content
        require(content == PICTURE, f"the app sees {len(content)} of {len(PICTURE)} bytes")

    def incomplete_webhook(self) -> None:
        """Kill a web process that has read half of a webhook; the carrier posts it again."""
        with socket.create_connection(("127.0.0.1", self.server.port)) as half:
            head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            half.sendall(head.encode() + b'Content-Length: 400\r\n\r\n[{"type": "message-')
            os.kill(web_process_pids(self.server)[0], signal.SIGKILL)
        self.kills["K1"] += 1
        self.text()

    def pushes(self) -> Counter[str]:
        """How often each text was pushed, by the id of the push."""
        return Counter(i for i in list(self.environment.receiver.ids) if i.endswith("_received"))

    def mails(self) -> Counter[str]:
        """How often each mail was received, by its ``Message-ID``."""
        return Counter(mail["Message-ID"] for mail in list(self.environment.mailbox.mails))


def _no_open_jobs(storage: Path, kind: str) -> bool:
    return not open_jobs(storage, kind)


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Kill at each point several times, wait for the end of all work, and count."""
    scenario = KillScenario(environment)
    for _ in range(scale.pick(1, 20)):
        soon = scenario.chance.uniform(0.001, 0.02)
        scenario.incomplete_webhook()
        scenario.pushed()
        for point, event, delay in (
            ("K7", "push", 0.0), ("K8", "push", soon), ("K16", "mail", 0.0), ("K16", "mail", soon),
        ):  # fmt: skip
            scenario.kill(point, event, scenario.text, delay=delay)
            scenario.pushed()
        scenario.kill("K9", "media", scenario.picture, delay=0.3)
        scenario.fetched()
        scenario.pushed()
        for point, event, delay in (
            ("K13", "token", 0.0), ("K14", "taken", 0.0), ("K15", "taken", soon),
        ):  # fmt: skip
            scenario.kill(point, event, scenario.reply, delay=delay)
            scenario.ended()
    scenario.server.stop()
    left = reply_statuses(scenario.server.storage)
    pushes, mails = scenario.pushes(), scenario.mails()
    taken = Counter(message["text"] for message in environment.bandwidth.accepted)
    untrue = {text: status for text, status in left.items() if text not in taken}
    stored = stored_texts(scenario.server.storage)
    require(sorted(stored) == list(range(1, scenario.texts + 1)), "texts are lost or kept twice")
    require(len(pushes) == len(mails) == scenario.texts, "a text was not pushed or not mailed")
    require(max(pushes.values()) <= 2, "one kill repeated a push more than once")
    require(max(mails.values()) <= 2, "one kill repeated a mail more than once")
    require(max(taken.values()) == 1, f"{taken.total() - len(taken)} replies were sent twice")
    require(
        len(left) == len(scenario.replies),
        f"{len(left)} of {len(scenario.replies)} replies are kept",
    )
    require(set(untrue.values()) <= {"unknown"}, f"shown though never sent: {untrue}")
    require(
        integrity_check(scenario.server.storage) == "ok", integrity_check(scenario.server.storage)
    )
    return {
        "points": len(scenario.kills),
        "kills": scenario.kills.total(),
        "lost": 0,
        "sent twice": 0,
        "replies shown as unknown": sum(status == "unknown" for status in left.values()),
        "pushes repeated with the same id": pushes.total() - len(pushes),
        "mails repeated with the same id": mails.total() - len(mails),
    }


CHECK = Check(
    name="kill_points",
    claim=(
        "Killed while the other side has the request: no text is lost, and no reply is sent twice."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/delivery/outcome.py",
            "if job.kind is JobKind.SEND and job.started:",
            "if False:",
            "an interrupted send is repeated",
        ),
        Mutant(
            "services/mail/message.py",
            'f"<{message.id}.{_short_hash(address)}@{id_domain}>"',
            "f\"<{__import__('uuid').uuid4()}@{id_domain}>\"",
            "a repeated mail has another Message-ID",
        ),
    ),
)
