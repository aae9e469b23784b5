"""G8: delivery receipts in any order, repeated, early or late.

VoIP.ms has no receipts: the status of a reply is looked up in its list.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any
from urllib.parse import parse_qsl, quote

import requests

from bench.measured_server import TOKEN
from tests.fakes.bandwidth import Answer, FakeBandwidth
from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipinnovations import FakeVoipInnovations
from tests.fakes.wavix import FakeWavix
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient, run_parallel
from torture.database import open_jobs, query, reply_statuses
from torture.environment import EXTENSION, TestEnvironment, require, wait_until

NUMBERS = {
    "bandwidth": "+12025550143",
    "twilio": "+12025550144",
    "wavix": "+12025550145",
    "voipinnovations": "+12025550146",
}
WITHOUT_RECEIPTS = "VoIP.ms"
# Four receipts of each carrier by the final status that follows from them in any order. Bandwidth
# may first report that the delivery is not confirmed (9902).
STORIES: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "bandwidth": {
        "delivered": (
            ("message-sending", ""),
            ("message-sent", ""),
            ("message-delivered", ""),
            ("message-read", ""),
        ),
        "failed": (
            ("message-sending", ""),
            ("message-sent", ""),
            ("message-failed", "9902"),
            ("message-failed", "4720"),
        ),
        "sent": (
            ("message-sending", ""),
            ("message-sent", ""),
            ("message-failed", "9902"),
            ("message-failed", "9999"),
        ),
    },
    "twilio": {
        "delivered": (("queued", ""), ("sending", ""), ("sent", ""), ("delivered", "")),
        "failed": (("queued", ""), ("sending", ""), ("sent", ""), ("undelivered", "30005")),
    },
    "wavix": {
        "delivered": (("accepted", ""), ("pending", ""), ("sent", ""), ("delivered", "")),
        "failed": (("accepted", ""), ("pending", ""), ("sent", ""), ("undelivered", "")),
    },
    "voipinnovations": {
        "delivered": (("sent", ""), ("SENT", ""), ("delivered", ""), ("Delivered", "")),
        "failed": (("sent", ""), ("SENT", ""), ("UNDELIVERED", ""), ("undelivered", "")),
    },
}
WAYS = ("early", "early, by the carrier's id alone", "late and twice")
SendReceipt = Callable[
    [str, str, bool], None
]  # the carrier's status, its code, whether our message id is in the receipt


class ReceiptPlans:
    """The receipts to send before a carrier answers the request, by the text of the reply."""

    def __init__(self) -> None:
        self._early: dict[str, Callable[[SendReceipt], None]] = {}
        self.tells: dict[str, SendReceipt] = {}

    def early(self, text: str, plan: Callable[[SendReceipt], None]) -> None:
        """Set the receipts that are sent before the request of a reply is answered."""
        self._early[text] = plan

    def taken(self, text: str, tell: SendReceipt) -> None:
        """Called when a carrier has accepted a reply."""
        if text in self._early:
            self._early[text](tell)
        self.tells[text] = tell


class Bandwidth(FakeBandwidth):
    """SendReceipts as planned, before it answers."""

    def __init__(self, plans: ReceiptPlans) -> None:
        super().__init__(fates=())
        self._plans = plans

    def take(self, content_type: str, body: bytes) -> tuple[Answer, dict[str, Any] | None]:
        answer, message = super().take(content_type, body)
        if message is not None:
            self._plans.taken(message["text"], partial(self._say, message))
        return answer, message

    def _say(self, message: dict[str, Any], word: str, code: str, ours: bool) -> None:
        content = {**message, "text": "", **({} if ours else {"tag": "of somebody else"})}
        event = {"type": word, "time": message["time"], "description": word, "message": content}
        _taken(
            requests.post(
                self.webhook,
                json=[
                    event | {"to": message["to"][0]} | ({"errorCode": int(code)} if code else {})
                ],
                timeout=30,
            ).status_code
        )


class Twilio(FakeTwilio):
    """SendReceipts as planned, before it answers."""

    def __init__(self, plans: ReceiptPlans) -> None:
        super().__init__()
        self._plans = plans
        self.add_number(NUMBERS["twilio"])

    def take(self, kind: str, body: bytes) -> Answer:
        answer = super().take(kind, body)
        if answer.status == 201 and isinstance(answer.body, dict):
            request = dict(parse_qsl(body.decode()))
            self._plans.taken(request["Body"], partial(self._say, request, str(answer.body["sid"])))
        return answer

    def _say(self, request: dict[str, str], sid: str, word: str, code: str, ours: bool) -> None:
        url = request["StatusCallback"]
        form = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": word, "SmsStatus": word}
        form |= {"AccountSid": self.account, "From": request["From"], "To": request["To"]}
        form |= {"ApiVersion": "2010-04-01", **({"ErrorCode": code} if code else {})}
        _taken(self.post(url if ours else url.partition("?")[0], form))


class Wavix(FakeWavix):
    """SendReceipts as planned, before it answers."""

    def __init__(self, plans: ReceiptPlans) -> None:
        super().__init__()
        self._plans = plans
        self.sender_ids.append(NUMBERS["wavix"].removeprefix("+"))

    def _take(self, kind: str, body: bytes) -> Answer:
        answer = super()._take(kind, body)
        if answer.status == 201 and isinstance(answer.body, dict):
            text = str(answer.body["message_body"]["text"])
            self._plans.taken(text, partial(self._say, answer.body))
        return answer

    def _say(self, message: dict[str, Any], word: str, code: str, ours: bool) -> None:
        content = {name: message[name] for name in ("message_id", "from", "to", "tag")}
        content |= {"message_type": "sms", "status": word, "segments_count": 1, "sent": None}
        content |= {"delivered": None, "error": None, "charge": "0.01"}
        _taken(self.post(self.webhook, content if ours else content | {"tag": None}))


class VoipInnovations(FakeVoipInnovations):
    """SendReceipts as planned, before it answers; of our id it knows nothing."""

    def __init__(self, plans: ReceiptPlans) -> None:
        super().__init__()
        self.webhook = ""
        self._plans = plans

    def _take(self, content_type: str, body: bytes) -> Answer:
        answer = super()._take(content_type, body)
        if answer.status == 200:
            message = self.accepted[-1]
            self._plans.taken(message["body"], partial(self._say, message))
        return answer

    def _say(self, message: dict[str, str], word: str, code: str, ours: bool) -> None:
        content = {"status": word, "to": message["to"], "msgid": message["uuid"]}
        _taken(requests.post(self.webhook, data=content, timeout=30).status_code)


def _taken(status: int) -> None:
    require(200 <= status < 300, f"a receipt was answered {status}")


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """SendReceipt every story in every order; see that each has its one end."""
    plans = ReceiptPlans()
    environment.bandwidth = environment.enter(Bandwidth(plans))
    twilio, wavix = environment.enter(Twilio(plans)), environment.enter(Wavix(plans))
    innovations = environment.enter(VoipInnovations(plans))
    server = environment.server(
        numbers=[
            {"number": number, "carrier": carrier, "extensions": [EXTENSION]}
            for carrier, number in NUMBERS.items()
        ],
        WAVIX_WEBHOOK_TOKEN=TOKEN,
        APIDAZE_WEBHOOK_TOKEN=TOKEN,
    )
    server.env |= {**twilio.env, **wavix.env, **innovations.env, "APP_URL": server.url}
    server.start()
    wavix.webhook = f"{server.url}/webhook/wavix/sms?token={quote(TOKEN)}"
    innovations.webhook = f"{server.url}/webhook/voipinnovations/sms?token={quote(TOKEN)}"
    app, ends = AppClient(server), dict[str, str]()
    late: list[Callable[[], None]] = []
    for place, (carrier, end, order) in enumerate(_cases()):
        ways = scale.pick([WAYS[(place + place // len(WAYS)) % len(WAYS)]], [*WAYS])
        for way in ways:
            text = f"{carrier} {end} {place} {way}"
            send = partial(_send_all, order)
            if way != WAYS[2]:
                plans.early(text, partial(send, ours=way == WAYS[0]))
            else:
                late.append(partial(_send_late, plans, text, send))
            ends[text] = end
            request = {"to": [f"+1303{5550000 + len(ends)}"], "from": NUMBERS[carrier]}
            status, answer = app.call("POST", "/messages", text=text, **request)
            require(status == 202, f"a reply was answered {status}: {answer}")
    storage = server.storage
    wait_until(lambda: not open_jobs(storage, "send"), "the end of the sends")
    for start in range(0, len(late), 8):
        run_parallel([*late[start : start + 8]])
    wrong = {
        text: status for text, status in reply_statuses(storage).items() if status != ends[text]
    }
    require(not wrong, f"{len(wrong)} of {len(ends)} ended wrong: {list(wrong.items())[:3]}")
    orphans = query(storage, "SELECT count(*) FROM receipts WHERE message_id IS NULL")[0][0]
    require(orphans == 0, f"{orphans} receipts found no message")
    receipts = query(storage, "SELECT count(*) FROM receipts")[0][0]
    return {
        "carriers": len(NUMBERS),
        "without receipts": WITHOUT_RECEIPTS,
        "replies": len(ends),
        "receipts": receipts,
        "right in the end, in %": 100,
        "receipts without their message": orphans,
    }


def _cases() -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    for carrier, stories in STORIES.items():
        for end, story in stories.items():
            for order in permutations(story):
                yield carrier, end, order


def _send_all(order: tuple[tuple[str, str], ...], tell: SendReceipt, *, ours: bool) -> None:
    for word, code in order:
        tell(word, code, ours)


def _send_late(plans: ReceiptPlans, text: str, send: Callable[..., None]) -> None:
    for _ in range(2):
        send(plans.tells[text], ours=True)


CHECK = Check(
    name="receipts",
    claim=(
        "A reply gets its right final status from the receipts in any order, repeated, "
        "late, or before the carrier has answered."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/store/receipts.py",
            "return RANK[receipt.status] > RANK[before.status]",
            "return True",
            "the last receipt always counts",
        ),
        Mutant(
            "services/delivery/send.py",
            "moved = statuses.join_receipts(tx, message, provider_id) or moved",
            "pass",
            "early receipts are not joined",
        ),
        Mutant(
            "services/providers/bandwidth/webhook.py",
            'event=f"{kind} {code}" if code else kind,',
            "event=kind,",
            "a failure after “not confirmed” counts as a repeat",
        ),
        Mutant(
            "services/providers/voipinnovations/webhook.py",
            '"undelivered": Status.FAILED',
            '"undelivered": Status.SENT',
            "an undelivered message counts as sent",
        ),
    ),
)
