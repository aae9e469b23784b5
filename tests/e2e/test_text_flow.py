"""Texts in and out over real connections: a carrier, a server, an app, a mailbox."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import settings_file
from tests.fakes.bandwidth import Answer, FakeBandwidth, Trouble
from tests.fakes.mailbox import Mailbox
from tests.fakes.receiver import Receiver
from tests.server import Server, running_server
from tests.waiting import PATIENCE, eventually

NUMBER = "+12025550143"
PEER = "+13035550177"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
    b"\x15\xc4\x89\x00\x00\x00\rIDATx\xdac\xfc\xcf\xc0P\x0f\x00\x04\x85\x01\x80\x84\xa9\x8c!\x00"
    b"\x00\x00\x00IEND\xaeB`\x82"
)


class Deployment:
    """A running server with its carrier, push receiver and mailbox."""

    def __init__(
        self, server: Server, bandwidth: FakeBandwidth, receiver: Receiver, mailbox: Mailbox
    ) -> None:
        self.server = server
        self.bandwidth = bandwidth
        self.receiver = receiver
        self.mailbox = mailbox
        self.token = server.new_token()
        hooks = server.flask("webhooks", "--json")
        assert hooks.returncode == 0, hooks.stderr

    def api(self, method: str, path: str, **more: Any) -> requests.Response:
        """A call of the extension's app."""
        return requests.request(
            method,
            f"{self.server.url}/api/v1{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=PATIENCE,
            **more,
        )

    def status(self, message_id: str) -> str:
        """Where a message is."""
        return str(self.api("GET", f"/messages/{message_id}").json()["status"])

    def wait_status(self, message_id: str, status: str) -> dict[str, Any]:
        """Wait until a message is there, and return it."""
        found: dict[str, Any] = eventually(
            lambda: (
                (m := self.api("GET", f"/messages/{message_id}").json())["status"] == status and m
            )
        )
        return found


@pytest.fixture
def deployment(tmp_path: Path, database: str) -> Iterator[Deployment]:
    entry = {
        "number": NUMBER,
        "carrier": "bandwidth",
        "extensions": ["201", "202"],
        "emails": ["desk@example.com"],
    }
    (tmp_path / "message_settings.json").write_text(settings_file(entry))
    with FakeBandwidth() as bandwidth, Receiver() as receiver, Mailbox() as mailbox:
        env = {**bandwidth.env, **receiver.env, **mailbox.env, "DATABASE_URL": database}
        with running_server(tmp_path, env) as server:
            hooks = server.flask("webhooks", "--json")
            assert hooks.returncode == 0, hooks.stderr
            token = hooks.stdout.partition("token=")[2].partition('"')[0]
            bandwidth.webhook = f"{server.url}/webhook/bandwidth/sms?token={token}"
            yield Deployment(server, bandwidth, receiver, mailbox)
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text()


def test_a_text_comes_and_the_answer_goes_back(deployment: Deployment) -> None:
    assert deployment.bandwidth.receive("Are you open?", sender=PEER, to=NUMBER).statuses == [200]

    pushes = deployment.receiver.wait_for(2)
    assert {push["data"]["extension"] for push in pushes} == {"201", "202"}
    (mail,) = deployment.mailbox.wait_for(1)
    assert mail["Subject"].endswith(': "Are you open?"')

    (conversation,) = deployment.api("GET", "/conversations").json()["items"]
    assert (conversation["peer"], conversation["unread_count"]) == (PEER, 1)
    answer = deployment.api(
        "POST", "/messages", json={"to": PEER, "text": "Until six", "client_id": "c1"}
    )
    assert answer.status_code == 202
    message = deployment.wait_status(answer.json()["id"], "delivered")
    assert message["conversation_id"] == conversation["id"]
    (accepted,) = deployment.bandwidth.accepted
    assert (accepted["text"], accepted["from"], accepted["to"]) == ("Until six", NUMBER, [PEER])
    assert accepted["tag"] == message["id"]

    again = deployment.api(
        "POST", "/messages", json={"to": PEER, "text": "Until six", "client_id": "c1"}
    )
    assert again.json()["id"] == message["id"]
    assert len(deployment.bandwidth.accepted) == 1


def test_a_picture_comes_and_a_picture_goes(deployment: Deployment) -> None:
    url = deployment.bandwidth.offer("m1/1/roof.png", "image/png", PNG)
    smil = deployment.bandwidth.offer("m1/0/0.smil", "application/smil", b"<smil></smil>")
    deployment.bandwidth.receive("look", sender=PEER, to=NUMBER, media=[smil, url])
    deployment.receiver.wait_for(2)
    eventually(lambda: [p for p in deployment.receiver.pushes if p["type"] == "message.updated"])
    updated = next(p for p in deployment.receiver.pushes if p["type"] == "message.updated")
    (picture,) = updated["data"]["message"]["media"]
    assert (picture["content_type"], picture["size"]) == ("image/png", len(PNG))
    local = deployment.server.url + "/media/" + picture["url"].partition("/media/")[2]
    assert requests.get(local, timeout=PATIENCE).content == PNG
    assert requests.get(local[:-1], timeout=PATIENCE).status_code in (403, 404)
    (mail,) = deployment.mailbox.wait_for(1)
    assert [part.get_content() for part in mail.iter_attachments()] == [PNG]

    upload = deployment.api("POST", "/media", files={"file": ("a.png", PNG, "image/png")})
    assert upload.status_code == 201, upload.text
    sent = deployment.api(
        "POST", "/messages", json={"to": PEER, "media_ids": [upload.json()["id"]]}
    )
    assert sent.status_code == 202, sent.text
    deployment.wait_status(sent.json()["id"], "delivered")
    (accepted,) = deployment.bandwidth.accepted
    path = accepted["media"][0].partition("/media/")[2]
    assert deployment.bandwidth.media[path] == ("image/png", PNG)


TROUBLES = {
    "throttled": (Answer(429, headers={"Retry-After": "1"}), "delivered"),
    "server error": (Answer(503, b"<html>"), None),
    "cut after acceptance": (Trouble.CUT, "delivered"),
    "cut before": (Trouble.DROP, None),
    "refused": (Answer(400, {"type": "request-validation", "description": "No."}), "failed"),
}


def test_no_trouble_of_the_carrier_sends_a_text_twice(deployment: Deployment) -> None:
    """Each kind of trouble hits one text; a good one follows at once."""
    sent = {}
    for name, (trouble, _) in TROUBLES.items():
        deployment.bandwidth.next("messages", trouble)
        body = {"to": PEER, "text": name, "client_id": name}
        sent[name] = deployment.api("POST", "/messages", json=body).json()["id"]
        eventually(lambda n=name: deployment.status(sent[n]) not in ("queued", "sending"))
    for name, (_, status) in TROUBLES.items():
        if status:
            deployment.wait_status(sent[name], status)
    texts = [message["text"] for message in deployment.bandwidth.accepted]
    assert len(texts) == len(set(texts))


def test_unread_is_read_everywhere_and_sync_tells(deployment: Deployment) -> None:
    token = deployment.api("GET", "/sync").json()["next"]
    deployment.bandwidth.receive("one", sender=PEER, to=NUMBER)
    told = deployment.api("GET", "/sync", params={"since": token, "timeout": 20}).json()
    assert [event["type"] for event in told["events"]] == ["message.created"]
    (conversation,) = deployment.api("GET", "/conversations").json()["items"]
    path = f"/conversations/{conversation['id']}"
    deployment.api("POST", f"{path}/read", json={"up_to_seq": conversation["last_seq"]})
    (conversation,) = deployment.api("GET", "/conversations").json()["items"]
    assert conversation["unread_count"] == 0


def test_an_open_stream_hears_of_a_text_and_costs_no_webhook_its_turn(
    deployment: Deployment,
) -> None:
    streams = [
        requests.get(
            f"{deployment.server.url}/api/v1/events",
            headers={"Authorization": f"Bearer {deployment.token}"},
            stream=True,
            timeout=PATIENCE,
        )
        for _ in range(4)
    ]
    assert all(stream.status_code == 200 for stream in streams)
    deployment.bandwidth.receive("live", sender=PEER, to=NUMBER)
    for stream in streams:
        lines = (
            line for line in stream.iter_lines(decode_unicode=True) if line.startswith("data:")
        )
        assert "live" in next(lines)
        stream.close()
