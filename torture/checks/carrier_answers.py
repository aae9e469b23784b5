"""F11-F16: a carrier that answers in every way but the right one."""

import gzip
import random
from collections import Counter, deque
from email.utils import formatdate
from time import sleep, time
from typing import Any

from tests.fakes.bandwidth import TOO_MANY, Answer, FakeBandwidth, Odd, Trouble
from torture.check import Check, Figures, Mutant, Scale
from torture.clock import WallClock
from torture.ground import Ground, demand, wait_until
from torture.traffic import App, open_jobs, sent

OWN = {"type": "service-unavailable", "description": "Try again later."}
REFUSAL = {"type": "request-validation", "description": "Your request could not be accepted."}
PAGE = b"<html><body><h1>Bad Gateway</h1></body></html>"
SIGN_IN = {"type": "unauthorized", "description": "Authentication Failed"}
# Nothing is taken, and Textbridge can tell: it tries again.
AGAIN = (
    TOO_MANY,
    Answer(429, OWN, {"Retry-After": "2"}),
    Answer(429, b"", {"Retry-After": formatdate(time() + 2, usegmt=True)}),
    Answer(429, b"", {"Retry-After": "soon"}),
    Answer(408),
    Answer(500, OWN),
    Answer(503, OWN),
    Answer(503, OWN, {"Retry-After": "1"}),
    Answer(401, SIGN_IN),
    Answer(403, SIGN_IN),
)
REDIRECTS = (301, 302, 303, 307, 308)  # to where it would be taken
# Nothing is taken, and nobody can tell: it is shown as unknown and not sent again.
SILENT = (Trouble.DROP, Answer(502, PAGE), Answer(500), Answer(504, b"upstream timed out"))
REFUSED = (Answer(400, REFUSAL), Answer(413), Answer(422, b"\xff\xfe"))
# It is taken, and the answer does not say so.
MUMBLES = (
    Answer(202),
    Answer(202, PAGE),
    Answer(202, b'{"id": '),
    Answer(202, b"\xff\xfe\x00"),
    Answer(202, b"[" * 100_000),
    Answer(202, b'{"id": null}'),
    Answer(202, b'{"id": {"id": 1}}'),
    Answer(202, b'["id"]'),
    Answer(202, b'{"id": "' + b"x" * 300_000 + b'"}'),
    Answer(202, gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}),
    Answer(202, b"no gzip at all", {"Content-Encoding": "gzip"}),
    Answer(502, PAGE),
    Answer(500),
)
LONG = 25.0  # seconds: a hung request is given up before


class Moody(FakeBandwidth):
    """A carrier that takes a message and may then answer anything; it hangs for ``LONG``."""

    def __init__(self) -> None:
        super().__init__()
        self.mumbles: deque[Answer] = deque()

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        if message is not None and self.mumbles:
            answer = self.mumbles.popleft()
        return answer, message

    def wait(self, seconds: float) -> bool:
        return super().wait(min(seconds, LONG))


def run(ground: Ground, scale: Scale) -> Figures:
    """Send through every such answer, again and again, and count what the carrier has."""
    times, slow = scale.pick(1, 20), scale.pick(0, 10)
    bandwidth = Moody()
    ground.bandwidth = ground.enter(bandwidth)
    clock = WallClock(ground.folder)
    server = ground.started(**clock.env)
    app = App(server)
    texts: list[str] = []

    def send(count: int) -> None:
        for _ in range(count):
            app.reply(f"c{len(texts)}", to=f"+1303555{len(texts):04}")
            texts.append(f"reply c{len(texts)}")

    if slow:
        bandwidth.next("messages", *[Trouble.HANG, Trouble.DRIP] * slow)
        send(2 * slow)
        wait_until(lambda: not open_jobs(server.storage, "send"), "the end of what hung")
        wait_until(lambda: set(sent(server.storage).values()) == {"delivered"}, "what became of it")
    leads = {"Location": f"{bandwidth.base_url}/elsewhere"}
    redirects = [Answer(status, b"", leads) for status in REDIRECTS]
    odd: list[Odd] = [*AGAIN, *redirects, *SILENT, *REFUSED, Trouble.CUT] * times
    random.Random(3).shuffle(odd)
    bandwidth.next("messages", *odd)
    bandwidth.mumbles += list(MUMBLES) * times
    send(len(odd) + len(bandwidth.mumbles))
    while open_jobs(server.storage, "send"):
        sleep(0.5)
        clock.skip(120)
    silent, refused = len(SILENT) * times, len(REFUSED) * times
    expected = {"delivered": len(texts) - silent - refused, "unknown": silent, "failed": refused}

    def outcomes() -> Counter[str]:
        return Counter(sent(server.storage).values())

    taken = Counter(message["text"] for message in bandwidth.accepted)
    demand(taken.total() == len(taken), f"{taken.total() - len(taken)} replies were sent twice")
    wait_until(lambda: outcomes() == expected, f"the end of all, {expected},")
    ends = sent(server.storage)
    demand(len(ends) == len(texts), f"{len(ends)} of {len(texts)} replies are kept")
    shown = {text for text, status in ends.items() if status == "delivered"}
    demand(shown == set(taken), f"{len(shown ^ set(taken))} are shown as they are not")
    strayed = [path for _, path, _ in bandwidth.requests if "elsewhere" in path]
    demand(not strayed, f"{len(strayed)} redirects were followed")
    # What a jump of the clock has made late is caught up on; what is lost stays lost.
    wait_until(lambda: server.flask("messages", "check").returncode == 0, "a sound ledger")
    return {
        "odd answers": 2 * slow + len(odd) + len(MUMBLES) * times,
        "replies": len(texts),
        "lost": 0,
        "sent twice": 0,
        "redirects followed": 0,
        "shown as unknown and not sent": silent,
        "shown as failed with the reason": refused,
    }


CHECK = Check(
    name="carrier_answers",
    claim=(
        "Whatever a carrier answers (429, 5xx, nothing, garbage, too much, a redirect), no reply "
        "is lost or sent twice, and each ends as delivered, failed or visibly unknown."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/providers/bandwidth_errors.py",
            'kind, remedy = (RETRY, "") if said else (lost, "")',
            'kind, remedy = RETRY, ""',
            "a proxy's error page counts as “not sent”",
        ),
        Mutant(
            "services/providers/bandwidth_api.py",
            '"Bandwidth took the message, but its answer cannot be read.", Kind.UNKNOWN',
            '"Bandwidth took the message, but its answer cannot be read.", Kind.RETRY',
            "an answer that cannot be read counts as “not sent”",
        ),
    ),
)
