"""Fake carriers with fault injection: refusals, lost connections, unreadable and missing answers.

Each carrier accepts a message as its fake does, and then sends the next of its ``unclear_answers``
instead of the right one. An answer that was set by ``plan`` is sent without reading the message.
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

SERVER_ERROR = {"type": "service-unavailable", "description": "Try again later."}
REFUSAL = {"type": "request-validation", "description": "Your request could not be accepted."}
PAGE = b"<html><body><h1>Bad Gateway</h1></body></html>"
SIGN_IN = {"type": "unauthorized", "description": "Authentication Failed"}
# The message was certainly not accepted: Textbridge retries.
RETRYABLE = (
    TOO_MANY,
    Answer(429, SERVER_ERROR, {"Retry-After": "2"}),
    Answer(429, b"", {"Retry-After": formatdate(time() + 2, usegmt=True)}),
    Answer(429, b"", {"Retry-After": "soon"}),
    Answer(408),
    Answer(401, SIGN_IN),
    Answer(403, SIGN_IN),
)
# Only Bandwidth documents that a 5xx in its own format means "not carried out".
RETRYABLE_AT_BANDWIDTH = (
    Answer(500, SERVER_ERROR),
    Answer(503, SERVER_ERROR),
    Answer(503, SERVER_ERROR, {"Retry-After": "1"}),
)
REDIRECTS = (301, 302, 303, 307, 308)  # to a URL that would accept the message
# Not accepted, but Textbridge cannot know: shown as unknown and not sent again.
OUTCOME_UNKNOWN = (Trouble.DROP, Answer(502, PAGE), Answer(500), Answer(504, b"upstream timed out"))
REFUSED = (Answer(400, REFUSAL), Answer(413), Answer(422, b"\xff\xfe"))
# The message was accepted, but the answer does not say so.
UNCLEAR_ANSWERS = (
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
HANG_SECONDS = 25.0  # longer than Textbridge's deadline


class FaultyCarrier:
    """Common part; ``clock`` is how far the clock of Textbridge is ahead of the true time."""

    number: str
    retryable: tuple[Any, ...] = RETRYABLE
    outcome_unknown: tuple[Any, ...] = OUTCOME_UNKNOWN
    refused: tuple[Any, ...] = REFUSED
    final_statuses = frozenset({"sending", "sent"})  # of the messages that it accepted
    clock = timedelta()

    @cached_property
    def unclear_answers(self) -> deque[Answer]:
        """Answers that are sent instead of the right one after a message was accepted."""
        return deque()

    def answer_for_accepted(self, answer: Answer) -> Answer:
        """The next unclear answer, or the right one if there is none."""
        return self.unclear_answers.popleft() if self.unclear_answers else answer


class Bandwidth(FaultyCarrier, FakeBandwidth):
    """Bandwidth: hangs for ``HANG_SECONDS``, and sends a delivery receipt for every message."""

    number = "+12025550143"
    retryable = (*RETRYABLE, *RETRYABLE_AT_BANDWIDTH)
    final_statuses = frozenset({"delivered"})

    def plan(self, *odd: Odd) -> None:
        """Set the answers to the next messages."""
        self.next("messages", *odd)

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        return answer if message is None else self.answer_for_accepted(answer), message

    def wait(self, seconds: float) -> bool:
        return super().wait(min(seconds, HANG_SECONDS))

    def texts(self) -> list[str]:
        """The texts of all accepted messages."""
        return [message["text"] for message in self.accepted]


class Twilio(FaultyCarrier, FakeTwilio):
    """No receipts, but a list of messages."""

    number = "+12025550144"
    outcome_unknown = (*OUTCOME_UNKNOWN, Answer(500, {"code": 20500}))

    def __init__(self) -> None:
        super().__init__()
        self.add_number(self.number)

    def plan(self, *odd: Odd) -> None:
        """Set the answers to the next messages."""
        self.next(*odd)

    def odd(self, method: str) -> Odd | None:
        return super().odd(method) if method == "POST" else None

    def take(self, kind: str, body: bytes) -> Answer:
        answer = super().take(kind, body)
        return self.answer_for_accepted(answer) if answer.status == 201 else answer

    def texts(self) -> list[str]:
        """The texts of all accepted messages."""
        return [message["Body"] for message in self.accepted]


class Wavix(FaultyCarrier, FakeWavix):
    """No receipts, but a list of messages."""

    number = "+12025550145"
    outcome_unknown = (*OUTCOME_UNKNOWN, Answer(503, SERVER_ERROR))

    def __init__(self) -> None:
        super().__init__()
        self.sender_ids.append(self.number.removeprefix("+"))

    def plan(self, *odd: Odd) -> None:
        """Set the answers to the next messages."""
        self.next(*odd)

    def odd(self, method: str) -> Odd | None:
        return super().odd(method) if method == "POST" else None

    def _take(self, kind: str, body: bytes) -> Answer:
        answer = super()._take(kind, body)
        return self.answer_for_accepted(answer) if answer.status == 201 else answer

    def texts(self) -> list[str]:
        """The texts of all accepted messages."""
        return [message["message_body"]["text"] for message in self.accepted]


class VoipMs(FaultyCarrier, FakeVoipMs):
    """VoIP.ms: always status 200, no receipts, but a list of messages."""

    number = "+12025550146"
    retryable = (*RETRYABLE, Answer(521, PAGE), "sms_failed", "api_limit_exceeded")
    outcome_unknown, refused = (
        (*OUTCOME_UNKNOWN, Answer(503, SERVER_ERROR)),
        (*REFUSED, "invalid_dst", "no such status"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.dids = [did(self.number.removeprefix("+1"))]

    def plan(self, *odd: OddStatus) -> None:
        """Set the answers to the next messages."""
        self.next("sendSMS", *odd)

    def answer(self, request: dict[str, str]) -> tuple[Answer, OddStatus | None]:
        before = len(self.accepted)
        answer, odd = super().answer(request)
        return self.answer_for_accepted(answer) if len(self.accepted) > before else answer, odd

    def keep(self, *row: Any, **more: Any) -> dict[str, Any]:
        return super().keep(*row, **{**more, "at": datetime.now(UTC) + self.clock})

    def texts(self) -> list[str]:
        """The texts of all accepted messages."""
        return [message["message"] for message in self.accepted]


class VoipInnovations(FaultyCarrier, FakeVoipInnovations):
    """VoIP Innovations: no receipts and no list, so that an unknown outcome stays unknown."""

    number = "+12025550147"
    outcome_unknown = (*OUTCOME_UNKNOWN, Answer(503, SERVER_ERROR), Answer(200, {"ok": None}))
    refused = (*REFUSED, Answer(200, {"ok": False, "message": "Not this one"}))
    final_statuses = frozenset({"sent", "unknown"})

    def plan(self, *odd: Odd) -> None:
        """Set the answers to the next messages."""
        self.next(*odd)

    def _take(self, content_type: str, body: bytes) -> Answer:
        answer = super()._take(content_type, body)
        return self.answer_for_accepted(answer) if answer.status == 200 else answer

    def texts(self) -> list[str]:
        """The texts of all accepted messages."""
        return [message["body"] for message in self.accepted]


CARRIERS: dict[str, Callable[[], Any]] = {
    "bandwidth": Bandwidth,
    "twilio": Twilio,
    "wavix": Wavix,
    "voipms": VoipMs,
    "voipinnovations": VoipInnovations,
}
