"""Bandwidth provider, over real connections to a fake that checks each request."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from services.config import variables
from services.core.errors import InvalidWebhook, Kind, SendError
from services.core.messages import Attachment, DeliveryStatus, Message, Parsed, Status, WebhookCall
from services.gateway import Gateway
from services.http.client import Answer, Http
from services.providers.bandwidth import Bandwidth
from services.providers.base import ProviderContext
from services.store import messages, receipts
from tests import payload_files
from tests.fakes.bandwidth import TOO_MANY, FakeBandwidth, Trouble
from tests.message_steps import receive_call

OURS, PEER, THIRD = "+12025550143", "+13035550177", "+13035550122"
TEXT = Message("out", OURS, PEER, text="Yes, until 6")


class HastyHttp(Http):
    """The way out, with less patience."""

    def request(self, *args: Any, **more: Any) -> Answer:
        return super().request(*args, **{"seconds": 0.5, **more})


def carrier(
    fake: FakeBandwidth,
    http: Http | None = None,
    clock: Callable[[], float] = time.time,
    **env: str,
) -> Bandwidth:
    settings, problems = variables.load(Bandwidth.Settings, "BANDWIDTH_", {**fake.env, **env})
    assert settings is not None, problems
    return Bandwidth(
        settings,
        ProviderContext(http or Http(), "a-webhook-token", "https://x.example", clock=clock),
    )


@pytest.fixture
def fake() -> Iterator[FakeBandwidth]:
    with FakeBandwidth() as server:
        yield server


@contextmanager
def webhook(fake: FakeBandwidth, *, basic: bool) -> Iterator[list[Parsed]]:
    """A server for the fake's webhooks, with the carrier's checks; yields what was parsed."""
    if basic:
        fake.webhook_user = ("textbridge", "Quiet-Harbour-77")
    provider = carrier(fake)
    received: list[Parsed] = []

    class Webhooks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = WebhookCall("POST", headers, self.path.partition("?")[2], body)
            try:
                provider.verify(call)
            except InvalidWebhook:
                self.send_response(401)
                for name, value in provider.challenge.items():
                    self.send_header(name, value)
            else:
                received.extend(provider.parse(call))
                self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhooks) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        token = "" if basic else "?token=a-webhook-token"
        fake.webhook = f"http://127.0.0.1:{server.server_address[1]}/webhook/bandwidth/sms{token}"
        yield received
        server.shutdown()


@pytest.mark.parametrize("user", [None, ("textbridge", "Quiet-Harbour-77")])
def test_a_first_call_without_a_body_is_challenged_even_with_the_token(
    fake: FakeBandwidth, user: tuple[str, str] | None
) -> None:
    fake.webhook_user = user

    with pytest.raises(InvalidWebhook):
        carrier(fake).verify(WebhookCall("POST", {}, "token=a-webhook-token", b" \n"))


def test_a_text_is_taken_once_and_carries_our_id(fake: FakeBandwidth) -> None:
    sent = carrier(fake).send(TEXT)

    [taken] = fake.accepted
    assert (taken["id"], taken["tag"], taken["text"]) == (sent, TEXT.id, "Yes, until 6")


def test_an_older_api_user_sends_by_basic_and_needs_no_token(fake: FakeBandwidth) -> None:
    before_its_end = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    carrier(fake, clock=lambda: before_its_end, BANDWIDTH_AUTH="basic").send(TEXT)

    assert [status for _, _, status in fake.requests] == [202]


def test_a_token_is_used_again_and_replaced_when_it_has_ended(fake: FakeBandwidth) -> None:
    provider = carrier(fake)

    provider.send(TEXT)
    provider.send(TEXT)
    fake.revoke_tokens()
    provider.send(TEXT)

    assert [status for _, _, status in fake.requests] == [200, 202, 202, 401, 200, 202]


def test_wrong_credentials_stop_the_carrier(fake: FakeBandwidth) -> None:
    with pytest.raises(SendError, match="BANDWIDTH_API_SECRET") as caught:
        carrier(fake, BANDWIDTH_API_SECRET="another secret").send(TEXT)

    assert caught.value.kind is Kind.CONFIG
    assert "another secret" not in str(caught.value)


TROUBLES = [
    (Trouble.CUT, Kind.UNKNOWN, 1),
    (Trouble.HANG, Kind.UNKNOWN, 1),
    (Trouble.DROP, Kind.UNKNOWN, 0),
    (TOO_MANY, Kind.RETRY, 0),
]


@pytest.mark.parametrize(("trouble", "kind", "taken"), TROUBLES)
def test_what_may_have_been_sent_is_not_known(
    fake: FakeBandwidth, trouble: Any, kind: Kind, taken: int
) -> None:
    fake.next("messages", trouble)

    with pytest.raises(SendError) as caught:
        carrier(fake, HastyHttp()).send(TEXT)

    assert caught.value.kind is kind
    assert len(fake.accepted) == taken


@pytest.mark.parametrize("place", ["token", "media"])
@pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.HANG, Trouble.DROP, TOO_MANY])
def test_trouble_before_the_message_itself_can_be_tried_again(
    fake: FakeBandwidth, tmp_path: Path, place: Any, trouble: Any
) -> None:
    provider = carrier(fake, HastyHttp())
    fake.next(place, trouble)

    with pytest.raises(SendError) as caught:
        provider.send(with_picture(tmp_path))
    assert caught.value.kind is Kind.RETRY
    assert fake.accepted == []

    provider.send(with_picture(tmp_path))
    assert len(fake.accepted) == 1


def test_an_answer_that_drips_in_is_read_to_its_end(fake: FakeBandwidth) -> None:
    fake.pause = 0.0001
    fake.next("messages", Trouble.DRIP)

    assert carrier(fake).send(TEXT) == fake.accepted[0]["id"]


def test_a_dead_address_can_be_tried_again(fake: FakeBandwidth) -> None:
    provider = carrier(fake, BANDWIDTH_MESSAGE_BASE_URL="http://127.0.0.1:1")

    with pytest.raises(SendError) as caught:
        provider.send(TEXT)
    assert caught.value.kind is Kind.RETRY


def with_picture(folder: Path) -> Message:
    path = folder / "picture"
    path.write_bytes(b"\xff\xd8\xff picture")
    file = Attachment(content_type="image/jpeg", name="roof.jpg", state="kept", path=path)
    return replace(TEXT, media=(file,))


def test_a_picture_is_laid_into_the_media_store_and_can_be_fetched_by_us_alone(
    fake: FakeBandwidth, tmp_path: Path
) -> None:
    provider = carrier(fake)
    provider.send(with_picture(tmp_path))

    [url] = fake.accepted[0]["media"]
    answer = provider.http.request("GET", url, headers=provider.media_headers(url))
    assert (answer.status, answer.body) == (200, b"\xff\xd8\xff picture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert url.endswith(".jpg")
    assert provider.http.request("GET", url).status == 401


@pytest.mark.parametrize("basic", [True, False], ids=["challenge", "token"])
def test_a_group_message_is_sent_and_its_statuses_come_back(
    fake: FakeBandwidth, basic: bool
) -> None:
    fake.fates = ["message-sending", ("message-failed", 9902), "message-delivered"]
    fake.early = True
    with webhook(fake, basic=basic) as received:
        fake.receive("hello", sender=PEER, to=OURS, group=[THIRD])
        sent = carrier(fake).send(replace(TEXT, participants=(PEER, THIRD)))

        [first, *statuses] = received
        assert isinstance(first, Message)
        assert (first.number, first.peer, first.participants) == (OURS, PEER, (PEER, THIRD))
        assert all(
            isinstance(told, DeliveryStatus)
            and (told.message_id, told.provider_id) == (TEXT.id, sent)
            for told in statuses
        )
        assert [(told.peer, told.status) for told in statuses] == [  # type: ignore[union-attr]
            (PEER, Status.SENT),
            (THIRD, Status.SENT),
            (PEER, Status.SENT),
            (THIRD, Status.SENT),
            (PEER, Status.DELIVERED),
            (THIRD, Status.DELIVERED),
        ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_everybody_has_a_failure_of_their_own_and_the_certain_one_counts(
    make_gateway: Callable[..., Gateway], database: str, order: tuple[int, ...]
) -> None:
    """Of one of the two Bandwidth is not sure at first; whatever comes first, and twice."""
    env = {**payload_files.settings("bandwidth"), "DATABASE_URL": database}
    gateway = make_gateway(**env)
    path = payload_files.FOLDER / "bandwidth" / "status_failed_again.http"
    told = [each["status"] for each in payload_files.expected(path)]
    ours, carriers_id = told[0]["message_id"], told[0]["provider_id"]
    group = replace(
        TEXT, id=ours, participants=(PEER, THIRD), provider="bandwidth", status=Status.SENT,
        provider_id=carriers_id, extension="201",
    )  # fmt: skip
    gateway.store.write(lambda tx: messages.add_outbound(tx, group, "f"))
    call = payload_files.read_request(path).call
    events = call.json()
    for place in order * 2:
        body = json.dumps([events[place]]).encode()
        receive_call(gateway, gateway.providers["bandwidth"], replace(call, body=body))
    found = gateway.store.read(lambda tx: messages.by_id(tx, ours))
    assert found is not None
    assert found.status is Status.FAILED
    assert str(found.error_reason).startswith("2 of 2 recipients did not get it: ")
    kept = gateway.store.read(lambda tx: receipts.of(tx, ours))
    assert sorted((r.peer, r.code) for r in kept) == sorted((r["peer"], r["code"]) for r in told)


GOOD = {"from": OURS, "to": [PEER], "text": "x"}
ILL_FORMED = {
    "another application": {**GOOD, "applicationId": "another"},
    "no sender": {"to": [PEER], "text": "x"},
    "nobody": {**GOOD, "to": []},
    "no list": {**GOOD, "to": PEER},
    "somebody twice": {**GOOD, "to": [PEER, PEER]},
    "eleven": {**GOOD, "to": [f"+130355501{n}" for n in range(10, 21)]},
    "a name": {**GOOD, "to": ["MTN"]},
    "nothing": {"from": OURS, "to": [PEER]},
    "too long": {**GOOD, "text": "x" * 2049},
    "a file that is not there": {**GOOD, "media": ["http://127.0.0.1/a.jpg"]},
    "an unknown key": {**GOOD, "subject": "x"},
}


@pytest.mark.parametrize("message", ILL_FORMED.values(), ids=ILL_FORMED)
def test_the_fake_takes_no_message_that_bandwidth_would_refuse(
    fake: FakeBandwidth, message: dict[str, Any]
) -> None:
    url = f"{fake.base_url}/users/{fake.account_id}/messages"
    user = (fake.api_token, fake.api_secret)
    whole = {"applicationId": fake.application_id, **message}

    with requests.Session() as session:
        assert session.post(url, json=whole, auth=user).status_code == 400
        assert session.post(url, json={**whole, **GOOD}).status_code == 401
        good = {"applicationId": fake.application_id, **GOOD}
        assert session.post(url, json=good, auth=user).status_code == 202
    assert len(fake.accepted) == 1


# The list of messages


def test_a_lost_answer_is_found_in_the_list(fake: FakeBandwidth) -> None:
    fake.next("messages", Trouble.CUT)
    provider = carrier(fake)
    message = replace(TEXT, created_at=time.time(), updated_at=time.time())
    with pytest.raises(SendError):
        provider.send(message)
    found = provider.find_sent(message)
    assert found is not None
    assert (found.status, found.provider_id) == (Status.DELIVERED, fake.accepted[0]["id"])


def test_what_the_list_does_not_show_or_shows_twice_stays_unknown(fake: FakeBandwidth) -> None:
    provider = carrier(fake)
    message = replace(TEXT, created_at=time.time(), updated_at=time.time())
    assert provider.find_sent(message) is None
    ids = [provider.send(message), provider.send(message)]
    assert provider.find_sent(message) is None
    by_id = provider.find_sent(replace(message, provider_id=ids[1]))
    assert by_id is not None
    assert by_id.provider_id == ids[1]


def test_a_failure_in_the_list_says_why(fake: FakeBandwidth) -> None:
    fake.fates = [("message-failed", 4720)]
    provider = carrier(fake)
    message = replace(TEXT, created_at=time.time(), updated_at=time.time())
    provider.send(message)
    found = provider.find_sent(message)
    assert found is not None
    assert (found.status, found.code) == (Status.FAILED, "4720")
    assert found.reason


def test_the_check_says_whether_the_credentials_work(fake: FakeBandwidth) -> None:
    findings = list(carrier(fake).check([OURS]))
    assert all(finding.ok for finding in findings)
    assert OURS in findings[1].text
    with pytest.raises(SendError) as caught:
        list(carrier(fake, BANDWIDTH_API_SECRET="wrong-secret").check([OURS]))
    assert caught.value.kind is Kind.CONFIG
