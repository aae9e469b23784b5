"""Carriers that may answer anything, and what they answer.

Each takes a message as its fake does, then answers with the next of its ``mumbles`` if there is
one. What is planned with ``plan`` is answered instead of looking at a message.
"""

import gzip
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import cached_property
from time import time
from typing import Any

from tests.fakes.bandwidth import TOO_MANY, Answer, FakeBandwidth, Odd, Trouble
from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipinnovations import FakeVoipInnovations
from tests.fakes.voipms import FakeVoipMs, did
from tests.fakes.voipms import Odd as OddStatus
from tests.fakes.wavix import FakeWavix

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
    Answer(401, SIGN_IN),
    Answer(403, SIGN_IN),
)
# Of Bandwidth alone it is documented that what it answers in its own form was not carried out.
AGAIN_AT_BANDWIDTH = (Answer(500, OWN), Answer(503, OWN), Answer(503, OWN, {"Retry-After": "1"}))
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


class Moody:
    """What they have in common; ``clock`` is by how much Textbridge's is ahead of the true one."""

    number: str
    again: tuple[Any, ...] = AGAIN
    silent: tuple[Any, ...] = SILENT
    refused: tuple[Any, ...] = REFUSED
    ends = frozenset({"sending", "sent"})  # of what it has taken
    clock = timedelta()

    @cached_property
    def mumbles(self) -> deque[Answer]:
        """What it answers instead of saying that it has taken a message."""
        return deque()

    def mumbled(self, answer: Answer) -> Answer:
        """What it says, having taken a message."""
        return self.mumbles.popleft() if self.mumbles else answer


class Bandwidth(Moody, FakeBandwidth):
    """It hangs for ``LONG``, and tells of everything that it was delivered."""

    number = "+12025550143"
    again = (*AGAIN, *AGAIN_AT_BANDWIDTH)
    ends = frozenset({"delivered"})

    def plan(self, *odd: Odd) -> None:
        """Misbehave at the next messages."""
        self.next("messages", *odd)

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        return answer if message is None else self.mumbled(answer), message

    def wait(self, seconds: float) -> bool:
        return super().wait(min(seconds, LONG))

    def texts(self) -> list[str]:
        """What it has taken."""
        return [message["text"] for message in self.accepted]


class Twilio(Moody, FakeTwilio):
    """It tells nothing by itself, but has a list."""

    number = "+12025550144"
    silent = (*SILENT, Answer(500, {"code": 20500}))

    def __init__(self) -> None:
        super().__init__()
        self.add_number(self.number)

    def plan(self, *odd: Odd) -> None:
        """Misbehave at the next messages."""
        self.next(*odd)

    def odd(self, method: str) -> Odd | None:
        return super().odd(method) if method == "POST" else None

    def take(self, kind: str, body: bytes) -> Answer:
        answer = super().take(kind, body)
        return self.mumbled(answer) if answer.status == 201 else answer

    def texts(self) -> list[str]:
        """What it has taken."""
        return [message["Body"] for message in self.accepted]


class Wavix(Moody, FakeWavix):
    """It tells nothing by itself, but has a list."""

    number = "+12025550145"
    silent = (*SILENT, Answer(503, OWN))

    def __init__(self) -> None:
        super().__init__()
        self.sender_ids.append(self.number.removeprefix("+"))

    def plan(self, *odd: Odd) -> None:
        """Misbehave at the next messages."""
        self.next(*odd)

    def odd(self, method: str) -> Odd | None:
        return super().odd(method) if method == "POST" else None

    def _take(self, kind: str, body: bytes) -> Answer:
        answer = super()._take(kind, body)
        return self.mumbled(answer) if answer.status == 201 else answer

    def texts(self) -> list[str]:
        """What it has taken."""
        return [message["message_body"]["text"] for message in self.accepted]


class VoipMs(Moody, FakeVoipMs):
    """It answers 200 whatever happened, tells nothing by itself, but has a list."""

    number = "+12025550146"
    again = (*AGAIN, Answer(521, PAGE), "sms_failed", "api_limit_exceeded")
    silent, refused = (*SILENT, Answer(503, OWN)), (*REFUSED, "invalid_dst", "no such status")

    def __init__(self) -> None:
        super().__init__()
        self.dids = [did(self.number.removeprefix("+1"))]

    def plan(self, *odd: OddStatus) -> None:
        """Misbehave at the next messages."""
        self.next("sendSMS", *odd)

    def answer(self, asked: dict[str, str]) -> tuple[Answer, OddStatus | None]:
        before = len(self.accepted)
        answer, odd = super().answer(asked)
        return self.mumbled(answer) if len(self.accepted) > before else answer, odd

    def keep(self, *row: Any, **more: Any) -> dict[str, Any]:
        return super().keep(*row, **{**more, "at": datetime.now(UTC) + self.clock})

    def texts(self) -> list[str]:
        """What it has taken."""
        return [message["message"] for message in self.accepted]


class VoipInnovations(Moody, FakeVoipInnovations):
    """It tells nothing and cannot be asked: what is doubtful stays so."""

    number = "+12025550147"
    silent = (*SILENT, Answer(503, OWN), Answer(200, {"ok": None}))
    refused = (*REFUSED, Answer(200, {"ok": False, "message": "Not this one"}))
    ends = frozenset({"sent", "unknown"})

    def plan(self, *odd: Odd) -> None:
        """Misbehave at the next messages."""
        self.next(*odd)

    def _take(self, content_type: str, body: bytes) -> Answer:
        answer = super()._take(content_type, body)
        return self.mumbled(answer) if answer.status == 200 else answer

    def texts(self) -> list[str]:
        """What it has taken."""
        return [message["body"] for message in self.accepted]


CARRIERS: dict[str, Callable[[], Any]] = {
    "bandwidth": Bandwidth,
    "twilio": Twilio,
    "wavix": Wavix,
    "voipms": VoipMs,
    "voipinnovations": VoipInnovations,
}
