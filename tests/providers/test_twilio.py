"""Twilio provider: request signatures, and real connections to a fake that checks each request."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from services.config import variables
from services.core.errors import InvalidWebhook, Kind, SendError
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Status,
    WebhookCall,
    uuid7,
)
from services.http.client import Answer, Http
from services.media.folder import Folder
from services.media.links import Links
from services.media.media_store import MediaStore
from services.providers.base import ProviderContext
from services.providers.twilio import Twilio
from services.providers.twilio.signature import require_signature, signature
from tests import payload_files
from tests.fakes.bandwidth import Answer as Odd
from tests.fakes.bandwidth import Trouble
from tests.fakes.twilio import FakeTwilio, refusal

OURS, PEER, ABROAD = "+12025550143", "+13035550177", "+442079460958"
TEXT = Message("out", OURS, PEER, text="Yes, until 6")


@pytest.fixture(autouse=True)
def _just_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is written when the test runs: carriers are asked for a time."""
    now = time.time()
    written = replace(TEXT, created_at=now, updated_at=now)
    monkeypatch.setitem(globals(), "TEXT", written)


# The signature


SHOP = "https://mycompany.com/myapp.php?foo=1&bar=2"
CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
TWICE = [
    ("Sid", "CA123"),
    ("SidAccount", "AC123"),
    *(("Digits", d) for d in ("5678", "1234", "1234")),
]
JSON = b'{"property": "value", "boolean": true}'
HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
PUBLISHED = [
    (SHOP, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    (SHOP.replace(".com/", ".com:443/"), CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
    ("http://mycompany.com:80/myapp.php?foo=1&bar=2", CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", CALL, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ("http://mycompany.com/myapp.php?foo=1&bar=2", CALL, "OyGYPqTF6ztdbRNCvuQO/oPvqQ4="),
    (SHOP, TWICE, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    (f"{SHOP}&bodySHA256={HASH}", [], "a9nBmqA0ju/hNViExpshrM61xv4="),
]

ACCOUNT, TOKEN = "ACffeeddccbbaa99887766554433221100", "0123456789abcdef0123456789abcdef"
TRUNK = "https://pbx.example.com/webhooks/twilio/trunk-1"
SMS = {
    "ToCountry": "US",
    "ToState": "",
    "SmsMessageSid": "SM00112233445566778899aabbccddeeff",
    "NumMedia": "0",
    "ToCity": "",
    "FromZip": "94107",
    "SmsSid": "SM00112233445566778899aabbccddeeff",
    "FromState": "CA",
    "SmsStatus": "received",
    "FromCity": "SAN FRANCISCO",
    "Body": "Hi & bye = é €\nline2 ",
    "FromCountry": "US",
    "To": "+13325550100",
    "ToZip": "",
    "NumSegments": "1",
    "MessageSid": "SM00112233445566778899aabbccddeeff",
    "AccountSid": ACCOUNT,
    "From": "+14155550123",
    "ApiVersion": "2010-04-01",
}
MM = "MM00112233445566778899aabbccddeeff"
FILES = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{MM}/Media"
MMS = SMS | {
    **dict.fromkeys(("SmsMessageSid", "SmsSid", "MessageSid"), MM),
    "NumMedia": "2",
    "Body": "",
    "MediaUrl0": f"{FILES}/ME0123456789abcdef0123456789abcdef",
    "MediaContentType0": "image/jpeg",
    "MediaUrl1": f"{FILES}/ME1123456789abcdef0123456789abcdef",
    "MediaContentType1": "text/vcard",
}
STATUS = {
    **dict.fromkeys(("SmsSid", "MessageSid"), "SM00112233445566778899aabbccddeeff"),
    **dict.fromkeys(("SmsStatus", "MessageStatus"), "undelivered"),
    "To": "+14155550123",
    "From": "+13325550100",
    "AccountSid": ACCOUNT,
    "ApiVersion": "2010-04-01",
    "ErrorCode": "30003",
    "RawDlrDoneDate": "2609071420",
}
OF_THE_TRUNK = [
    (TRUNK, "", SMS, "xCt4T52fLZiEVPvawj3pAndgmyc="),
    (TRUNK, "", MMS, "vUAhp4H4V6VbS6ViL3UqRBkVQ6Y="),
    (f"{TRUNK}/status", "m=42&s=a%2Fb", STATUS, "1X8cFF+ZyrullDzpQw0Z3jebigk="),
]


def form_call(form: Any, signed: str, query: str = "") -> WebhookCall:
    kind = "application/x-www-form-urlencoded; charset=UTF-8"
    headers = {"content-type": kind, "x-twilio-signature": signed}
    return WebhookCall("POST", headers, query, urlencode(form).encode())


@pytest.mark.parametrize(("address", "form", "signed"), PUBLISHED)
def test_the_published_signatures_come_out(
    address: str, form: list[tuple[str, str]], signed: str
) -> None:
    assert signature("12345", address, form) == signed
    assert signature("12345", address, reversed(form)) == signed


@pytest.mark.parametrize(("address", "query", "form", "signed"), OF_THE_TRUNK)
def test_a_whole_call_is_recognised(
    address: str, query: str, form: dict[str, str], signed: str
) -> None:
    require_signature(form_call(form, signed, query), address, TOKEN)


SPOILT = {
    "trimmed": SMS | {"Body": SMS["Body"].strip()},
    "empty values dropped": {name: value for name, value in SMS.items() if value},
    "another line break": SMS | {"Body": SMS["Body"].replace("\n", "\r\n")},
    "a field more": SMS | {"Odd": ""},
}


@pytest.mark.parametrize("form", SPOILT.values(), ids=SPOILT)
def test_a_form_that_was_tidied_on_the_way_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook):
        require_signature(form_call(form, OF_THE_TRUNK[0][3]), TRUNK, TOKEN)


@pytest.mark.parametrize("ours", ["https://mycompany.com", "https://mycompany.com:443"])
@pytest.mark.parametrize("signed", [PUBLISHED[0][2], PUBLISHED[1][2]])
def test_the_port_may_be_there_or_not(ours: str, signed: str) -> None:
    call = form_call(CALL, signed, "foo=1&bar=2")
    require_signature(call, f"{ours}/myapp.php", "12345")
    for foreign in ("http://mycompany.com", "https://www.mycompany.com", "https://example.com"):
        with pytest.raises(InvalidWebhook):
            require_signature(call, f"{foreign}/myapp.php", "12345")


def test_an_odd_port_may_be_there_or_not() -> None:
    for signed in (PUBLISHED[3][2], PUBLISHED[4][2]):
        call = form_call(CALL, signed, "foo=1&bar=2")
        require_signature(call, "http://mycompany.com:1234/myapp.php", "12345")


def test_a_body_of_json_is_held_to_its_hash() -> None:
    headers = {"content-type": "application/json", "x-twilio-signature": PUBLISHED[6][2]}
    call = WebhookCall("POST", headers, f"foo=1&bar=2&bodySHA256={HASH}", JSON)
    require_signature(call, "https://mycompany.com/myapp.php", "12345")
    for changed in (replace(call, body=JSON + b" "), replace(call, query="foo=1&bar=2")):
        with pytest.raises(InvalidWebhook):
            require_signature(changed, "https://mycompany.com/myapp.php", "12345")


# What a signature does not protect: where one field ends and the next begins


HOOK = "https://sms.example.com/webhook/twilio/sms"


def signed_call(form: list[tuple[str, str]], query: str = "", like: Any = None) -> WebhookCall:
    """A form with a right signature, which ``like`` shares when it is cut at other places."""
    address = f"{HOOK}?{query}" if query else HOOK
    signed = signature(TOKEN, address, form)
    assert like is None or signed == signature(TOKEN, HOOK, like)
    return form_call(form, signed, query)


def renamed(old: str, new: str, value: str) -> list[tuple[str, str]]:
    return [(new, value) if name == old else (name, kept) for name, kept in SMS.items()]


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in SMS.items() if name not in names}


CUT_ELSEWHERE = {
    "a name cut short": renamed("Body", "Bod", "y" + SMS["Body"]),
    "a name made longer": renamed("Body", "BodyH", SMS["Body"][1:]),
    "the text takes the sender": [
        *(without("From", "Body").items()),
        ("Body", f"{SMS['Body']}From{SMS['From']}"),
    ],
    "the sender takes the city": [
        *(without("FromCity", "From").items()),
        ("From", f"{SMS['From']}FromCity{SMS['FromCity']}"),
    ],
    "an id takes the count": [
        *(without("NumMedia", "MessageSid").items()),
        ("MessageSid", f"{SMS['MessageSid']}NumMedia0"),
    ],
    "the count takes nothing": renamed("NumMedia", "NumMedia0", ""),
    "a file is taken by what stands before it": [
        *(without("NumMedia").items()),
        ("NumMedia", "1"),
        ("MediaContentType0", "image/jpegMediaUrl0https://api.twilio.com/x"),
    ],
    "a file is cut in its name": [*SMS.items(), ("Media", "Url0https://api.twilio.com/x")],
    "the reason is cut in its name": [*SMS.items(), ("ErrorM", "essageUnreachable")],
    "the segments are cut in their name": renamed("NumSegments", "NumSegments1", "0"),
    "a field of the text": [
        *(without("Body").items()),
        ("Body", "Hi"),
        ("Body & bye", " = é €\nline2 "),
    ],
}


@pytest.mark.parametrize("form", CUT_ELSEWHERE.values(), ids=CUT_ELSEWHERE)
def test_a_signed_form_that_is_cut_at_other_places_is_refused(form: list[tuple[str, str]]) -> None:
    provider = payload_files.provider("twilio")
    provider.verify(signed_call(list(SMS.items())))

    with pytest.raises(InvalidWebhook):
        provider.verify(signed_call(form))


def test_a_name_cut_short_fits_the_same_signature() -> None:
    signed_call(CUT_ELSEWHERE["a name cut short"], like=SMS.items())


WRONG = {
    "another account": SMS | {"AccountSid": "AC" + "0" * 32},
    "no account": without("AccountSid"),
    "no id": without("MessageSid"),
    "no recipient": without("To"),
    "no sender": without("From"),
    "an empty sender": SMS | {"From": ""},
    "nothing said": without("Body"),
    "an odd id": SMS | {"MessageSid": "SM1"},
    "an odd number": SMS | {"To": "+1332555010x"},
    "an odd count": SMS | {"NumMedia": "two"},
    "an odd name": SMS | {"odd name": "x"},
}


@pytest.mark.parametrize("form", WRONG.values(), ids=WRONG)
def test_a_signed_form_without_what_twilio_always_tells_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook):
        payload_files.provider("twilio").verify(signed_call(list(form.items())))


@pytest.mark.parametrize("name", ["AccountSid", "From", "To", "MessageSid", "NumMedia"])
def test_what_is_told_once_may_not_be_told_twice(name: str) -> None:
    with pytest.raises(InvalidWebhook):
        payload_files.provider("twilio").verify(signed_call([*SMS.items(), (name, SMS[name])]))


@pytest.mark.parametrize(
    "query",
    ["token=x", "m=42", "m=", "foo=1", f"m={TEXT.id}&m={TEXT.id}", f"m={TEXT.id}AccountSid"],
    ids=["token", "number", "empty", "unknown", "twice", "longer"],  # an id is new each time
)
def test_an_address_with_something_of_somebody_elses_is_refused(query: str) -> None:
    provider = payload_files.provider("twilio")
    provider.verify(signed_call(list(STATUS.items()), f"m={TEXT.id}"))

    with pytest.raises(InvalidWebhook):
        provider.verify(signed_call(list(STATUS.items()), query))


def test_a_form_does_not_pass_as_an_address_nor_an_address_as_a_form() -> None:
    provider = payload_files.provider("twilio")
    query = urlencode(SMS)
    headers = {"x-twilio-signature": signature(TOKEN, f"{HOOK}?{query}")}
    provider.verify(WebhookCall("GET", headers, query, b""))

    for method in ("POST", "HEAD"):
        with pytest.raises(InvalidWebhook):
            provider.verify(WebhookCall(method, headers, query, b""))
    with pytest.raises(InvalidWebhook):
        provider.verify(replace(signed_call(list(SMS.items())), method="GET", query=query))


def told_by(provider: Twilio, call: WebhookCall) -> list[dict[str, Any]]:
    """What is understood of a call, but for the time at which it came."""
    told = [payload_files.understood(item) for item in provider.parse(call)]
    for item in told:
        item.get("status", {}).pop("at", None)
    return told


def test_no_mutation_of_a_signed_call_changes_what_is_understood() -> None:
    """A few that say the same in other letters (%2b for %2B) may pass; none of the proof may."""
    provider = payload_files.provider("twilio")
    assert isinstance(provider, Twilio)
    call = signed_call(list(STATUS.items()), f"m={TEXT.id}")
    proof, wanted = call.headers["x-twilio-signature"], told_by(provider, call)
    chance, passed = random.Random(7), 0

    def change(text: str) -> str:
        at, letter = chance.randrange(len(text)), chr(chance.randrange(33, 127))
        letter = letter if letter != text[at] else "~"
        return chance.choice([text[:at] + letter + text[at + 1 :], text[:at] + text[at + 1 :]])

    for turn in range(10_000):
        if turn % 3 == 0:
            changed = replace(call, headers={**call.headers, "x-twilio-signature": change(proof)})
        elif turn % 3 == 1:
            changed = replace(call, query=change(call.query))
        else:
            changed = replace(call, body=change(call.body.decode()).encode())
        try:
            provider.verify(changed)
        except InvalidWebhook:
            continue
        passed += 1
        assert turn % 3 == 2, changed
        assert told_by(provider, changed) == wanted, changed
    assert passed < 100


# Against the server


class HastyHttp(Http):
    """The way out, with less patience, and to the fake where Twilio's file servers are meant."""

    def __init__(self, fake: FakeTwilio) -> None:
        super().__init__()
        self.fake = fake

    def request(self, method: str, url: str, **more: Any) -> Answer:
        here = url.replace("https://mms.twiliocdn.com", f"{self.fake.origin}/cdn")
        return super().request(method, here, **{**more, "seconds": 0.5})


def carrier(fake: FakeTwilio, app_url: str = "https://sms.example.com", **env: str) -> Twilio:
    settings, problems = variables.load(Twilio.Settings, "TWILIO_", {**fake.env, **env})
    assert settings is not None, problems
    return Twilio(settings, ProviderContext(HastyHttp(fake), "", app_url))


@pytest.fixture
def fake() -> Iterator[FakeTwilio]:
    with FakeTwilio() as server:
        yield server


@contextmanager
def webhook(fake: FakeTwilio) -> Iterator[tuple[Twilio, list[Parsed]]]:
    """A carrier, a server for its webhooks, and what was parsed."""
    received: list[Parsed] = []

    class Webhooks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = WebhookCall("POST", headers, self.path.partition("?")[2], body)
            provider.verify(call)
            received.extend(provider.parse(call))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhooks) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        provider = carrier(fake, f"http://127.0.0.1:{server.server_address[1]}")
        fake.webhook = provider.webhook_url
        yield provider, received
        fake.settle()
        server.shutdown()


def test_a_text_is_sent_and_its_statuses_come_back(fake: FakeTwilio) -> None:
    fake.fates = ["queued", "sent", ("undelivered", 30005)]
    with webhook(fake) as (provider, received):
        message_id = fake.receive("Are you open? é 😀 ", sender=PEER, to=OURS)
        sent = provider.send(TEXT)
        fake.settle()

        [first, *told] = received
        assert isinstance(first, Message)
        assert (first.number, first.peer, first.provider_id) == (OURS, PEER, message_id)
        assert first.text == "Are you open? é 😀 "
        assert [
            (t.status, t.message_id, t.provider_id, t.peer, t.code)
            for t in told
            if isinstance(t, DeliveryStatus)
        ] == [
            (Status.SENT, TEXT.id, sent, PEER, None),
            (Status.SENT, TEXT.id, sent, PEER, None),
            (Status.FAILED, TEXT.id, sent, PEER, "30005"),
        ]


def test_a_name_gives_way_where_it_is_not_allowed(fake: FakeTwilio) -> None:
    provider = carrier(fake, TWILIO_SENDER_ID="Harbour Inn")

    for peer in (PEER, ABROAD, "+525555501234"):
        provider.send(replace(TEXT, peer=peer))

    assert [taken["From"] for taken in fake.accepted] == [OURS, "Harbour Inn", OURS]


def test_a_messaging_service_and_the_number_go_together(fake: FakeTwilio) -> None:
    carrier(fake, TWILIO_MESSAGING_SERVICE_SID=fake.service).send(TEXT)
    assert (fake.accepted[0]["From"], fake.accepted[0]["MessagingServiceSid"]) == (
        OURS,
        fake.service,
    )

    with pytest.raises(SendError, match="TWILIO_MESSAGING_SERVICE_SID") as caught:
        carrier(fake, TWILIO_MESSAGING_SERVICE_SID="MG" + "0" * 32).send(TEXT)
    assert caught.value.kind is Kind.CONFIG


TROUBLES = [
    (Trouble.CUT, Kind.UNKNOWN, 1),
    (Trouble.HANG, Kind.UNKNOWN, 1),
    (Trouble.DROP, Kind.UNKNOWN, 0),
    (refusal(500, 20500), Kind.UNKNOWN, 0),
    (refusal(429, 20429), Kind.RETRY, 0),
    (refusal(400, 21611), Kind.RETRY, 0),
    (refusal(400, 21610), Kind.REFUSED, 0),
    (refusal(403, 20005), Kind.CONFIG, 0),
]


@pytest.mark.parametrize(("trouble", "kind", "taken"), TROUBLES)
def test_what_follows_from_trouble(fake: FakeTwilio, trouble: Any, kind: Kind, taken: int) -> None:
    fake.next(trouble)

    with pytest.raises(SendError) as caught:
        carrier(fake).send(TEXT)

    assert caught.value.kind is kind
    assert len(fake.accepted) == taken


def test_wrong_credentials_stop_the_carrier_and_are_not_shown(fake: FakeTwilio) -> None:
    wrong = "f" * 32
    with pytest.raises(SendError, match="TWILIO_AUTH_TOKEN") as caught:
        carrier(fake, TWILIO_AUTH_TOKEN=wrong).send(TEXT)
    assert caught.value.kind is Kind.CONFIG
    assert wrong not in str(caught.value)


def test_a_dead_address_can_be_tried_again(fake: FakeTwilio) -> None:
    with pytest.raises(SendError) as caught:
        carrier(fake, TWILIO_BASE_URL="http://127.0.0.1:1").send(TEXT)
    assert caught.value.kind is Kind.RETRY


# Looking up


def lost(fake: FakeTwilio, message: Message, **env: str) -> None:
    """Send a message whose answer does not come."""
    fake.next(Trouble.CUT)
    with pytest.raises(SendError):
        carrier(fake, **env).send(message)


@pytest.mark.parametrize(
    ("status", "code", "found"),
    [
        ("queued", None, Status.SENT),
        ("delivered", None, Status.DELIVERED),
        ("undelivered", 30006, Status.FAILED),
        ("pondering", None, Status.SENT),
    ],
)
def test_what_was_taken_without_an_answer_is_found(
    fake: FakeTwilio, status: str, code: int | None, found: Status
) -> None:
    fake.page_size = 2
    lost(fake, TEXT)
    fake.listed[0] |= {"status": status, "error_code": code}
    for n in range(5):
        carrier(fake).send(replace(TEXT, id=uuid7(), text=f"Something else {n}"))

    told = carrier(fake).find_sent(TEXT)

    assert told is not None
    assert (told.status, told.event, told.code) == (found, status, str(code) if code else None)
    assert (told.provider_id, told.message_id) == (fake.accepted[0]["sid"], TEXT.id)


def hours(*, later: float) -> Message:
    at = TEXT.created_at + 3600 * later
    return replace(TEXT, created_at=at, updated_at=at)


OTHERS = {
    "another text": replace(TEXT, text="No"),
    "another recipient": replace(TEXT, peer=ABROAD),
    "another sender": replace(TEXT, number="+12025550199"),
    "a picture": replace(TEXT, media=(Attachment(),)),
    "long before": hours(later=2),
    "long after": hours(later=-2),
}


@pytest.mark.parametrize("message", OTHERS.values(), ids=OTHERS)
def test_what_is_not_there_is_not_found(fake: FakeTwilio, message: Message) -> None:
    fake.receive(message.text, sender=PEER, to=OURS, tell=False)
    carrier(fake).send(TEXT)

    assert carrier(fake).find_sent(message) is None


def test_what_went_under_a_name_is_found(fake: FakeTwilio) -> None:
    message = replace(TEXT, peer=ABROAD)
    lost(fake, message, TWILIO_SENDER_ID="Harbour Inn")

    assert carrier(fake, TWILIO_SENDER_ID="Harbour Inn").find_sent(message) is not None


@pytest.mark.parametrize("ask", [lambda p: p.find_sent(TEXT), lambda p: list(p.missed(0.0))])
@pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.HANG, refusal(500, 20500)])
def test_a_look_up_that_fails_can_be_tried_again(
    fake: FakeTwilio, trouble: Any, ask: Callable[[Twilio], Any]
) -> None:
    fake.next(trouble)
    with pytest.raises(SendError) as caught:
        ask(carrier(fake))
    assert caught.value.kind is Kind.RETRY


def test_a_list_that_leads_elsewhere_is_not_followed(fake: FakeTwilio) -> None:
    for there in ("@example.com/x", "https://example.com/x", "/2010-04-01/Accounts/x.json", 5):
        fake.next(Odd(200, {"messages": [], "next_page_uri": there}))
        with pytest.raises(SendError, match="foreign"):
            carrier(fake).find_sent(TEXT)


def test_what_was_missed_is_the_same_as_by_webhook(fake: FakeTwilio) -> None:
    fake.page_size = 2
    with webhook(fake) as (provider, received):
        fake.clock = timedelta(hours=-2)
        fake.receive("too old", sender=PEER, to=OURS, tell=False)
        fake.clock = timedelta()
        provider.send(TEXT)
        fake.receive("Are you open?", sender=PEER, to=OURS)
        fake.receive("", sender="29283", to=OURS, files=2)

        missed = list(provider.missed(TEXT.created_at - 60))

        assert [type(item) for item in missed] == [Message, Message]
        assert [differs(item) for item in reversed(missed)] == [differs(item) for item in received]
        assert all(isinstance(m, Message) and m.carrier_time is not None for m in missed)


def differs(parsed: Parsed) -> dict[str, Any]:
    """What two messages must share to be one."""
    told: dict[str, Any] = payload_files.understood(parsed)["message"]
    return {name: value for name, value in told.items() if name != "carrier_time"}


def test_a_row_that_cannot_be_read_is_kept_beside_the_others(fake: FakeTwilio) -> None:
    fake.receive("good", sender=PEER, to=OURS, tell=False)
    fake.receive("bad", sender=PEER, to=OURS, tell=False)
    fake.listed[0]["sid"] = None

    bad, good = carrier(fake).missed(0.0)

    assert payload_files.understood(bad)["unreadable"]["reason"] == "“sid” is missing."
    assert isinstance(good, Message)
    assert good.text == "good"


# Checking


def test_a_good_account_and_number_are_found_good(fake: FakeTwilio) -> None:
    provider = carrier(fake)
    fake.add_number(OURS, sms_url=f"{provider.webhook_url}#rc=3&rp=all")

    assert all(finding.ok for finding in provider.check([OURS]))
    assert len(list(provider.check([OURS]))) == 2


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no texts": ({"capabilities": {"sms": False}}, "without SMS"),
    "odd capabilities": ({"capabilities": None}, "without SMS"),
    "another address": ({"sms_url": "https://example.com"}, "paste https://sms.example.com"),
    "no address": ({"sms_url": None}, "A message comes in"),
    "an app": ({"sms_application_sid": "AP1"}, "TwiML app"),
}


@pytest.mark.parametrize(("about", "words"), FAULTS.values(), ids=FAULTS)
def test_a_number_that_is_not_set_up_is_named_with_the_remedy(
    fake: FakeTwilio, about: dict[str, Any], words: str
) -> None:
    provider = carrier(fake)
    fake.add_number(OURS, **{"sms_url": provider.webhook_url, **about})

    [told] = [finding.text for finding in provider.check([OURS]) if not finding.ok]

    assert words in told
    assert OURS in told


def test_a_foreign_number_a_trial_and_a_closed_account_are_told(fake: FakeTwilio) -> None:
    fake.status, fake.type = "suspended", "Trial"

    wrong = [finding.text for finding in carrier(fake).check([ABROAD]) if not finding.ok]

    assert len(wrong) == 3
    for words, told in zip(("suspended", "trial", ABROAD), wrong, strict=True):
        assert words in told


def test_wrong_credentials_are_told_by_the_check(fake: FakeTwilio) -> None:
    with pytest.raises(SendError, match="TWILIO_AUTH_TOKEN"):
        list(carrier(fake, TWILIO_AUTH_TOKEN="f" * 32).check([OURS]))


# Pictures


def test_a_picture_is_fetched_from_where_twilio_keeps_it_without_credentials(
    fake: FakeTwilio, tmp_path: Path
) -> None:
    with webhook(fake) as (provider, received):
        fake.receive("Look", sender=PEER, to=OURS, files=1)
        [message] = received
        assert isinstance(message, Message)
        [file] = message.media
        url = file.source_url or ""
        fake.fetched.clear()

        kept = MediaStore(Folder(tmp_path), Links(b"k" * 32, provider.app_url)).fetch(
            provider.http,
            url,
            provider.media_headers(url),
            redirects=provider.media_redirects,
            file_id=file.id,
            name=file.name,
            max_bytes=1000,
        )

    assert kept.content_type == "image/png"
    assert [shown is not None for _, shown in fake.fetched] == [True, False]


def test_pictures_go_out_as_links(fake: FakeTwilio) -> None:
    files = tuple(Attachment(source_url=f"https://sms.example.com/media/{n}") for n in range(3))
    carrier(fake).send(replace(TEXT, text="", media=files))

    assert fake.accepted[0]["MediaUrl"] == [file.source_url for file in files]


# The fake itself


GOOD = {"To": PEER, "From": OURS, "Body": "x"}
ILL_FORMED = {
    "nobody": {"From": OURS, "Body": "x"},
    "no sender": {"To": PEER, "Body": "x"},
    "a number without plus": {**GOOD, "To": "13035550177"},
    "a sender without plus": {**GOOD, "From": "2025550143"},
    "somebody else's number": {**GOOD, "From": "+12025550199"},
    "a name to the USA": {**GOOD, "From": "Harbour"},
    "a long name": {**GOOD, "To": ABROAD, "From": "Harbour Inns"},
    "nothing": {"To": PEER, "From": OURS},
    "too long": {**GOOD, "Body": "x" * 1601},
    "too many files": {**GOOD, "MediaUrl": ["https://sms.example.com/1"] * 11},
    "a file of ours": {**GOOD, "MediaUrl": "file:///etc/passwd"},
    "an unknown field": {**GOOD, "Text": "x"},
}


@pytest.mark.parametrize("form", ILL_FORMED.values(), ids=ILL_FORMED)
def test_the_fake_takes_no_message_that_twilio_would_refuse(
    fake: FakeTwilio, form: dict[str, Any]
) -> None:
    url, user = f"{fake.origin}{fake.root}/Messages.json", (fake.account, fake.auth_token)
    with requests.Session() as session:
        assert session.post(url, data=form, auth=user).status_code == 400
        assert session.post(url, json=GOOD, auth=user).status_code == 400
        assert session.post(url, data=GOOD).status_code == 401
        assert session.post(url, data=GOOD, auth=user).status_code == 201
    assert len(fake.accepted) == 1
