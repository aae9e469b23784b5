"""Apps against a real server: Ringotel and Acrobits, texts in and answers out."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.fakes.acrobits import FakeRelay
from tests.fakes.ringotel import ORG, TOKEN, FakeRingotel
from tests.server import Server, running_server
from tests.waiting import PATIENCE


def post(server: Server, account: dict[str, str], name: str, **words: str) -> dict[str, Any]:
    """Make one call of an Acrobits account."""
    body = account[f"{name}PostData"]
    for word, value in words.items():
        body = body.replace(f"%{word}%", value)
    path = urlsplit(account[f"{name}Url"]).path
    headers = {"Content-Type": account[f"{name}ContentType"]}
    answer = requests.post(server.url + path, data=body.encode(), headers=headers, timeout=PATIENCE)
    assert answer.ok, answer.text
    return dict(answer.json())


def test_a_text_reaches_both_apps_and_both_answer(tmp_path: Path) -> None:
    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), "utf-8")
    with (
        FakeRelay() as relay,
        FakeRingotel() as ringotel,
        running_server(tmp_path, {**relay.env, **ringotel.env}) as server,
    ):
        account = server.json("devices", "provision", "201", "--name", "Phone")["account"]
        post(server, account, "pushTokenReporter", **relay.install())
        sent = server.flask(
            "simulate", "sandbox", "--from", PEER, "--to", NUMBER, "--text", "Are you open?"
        )
        assert sent.returncode == 0, sent.stderr
        relay.wait_for(1)
        ringotel.wait_for(1)
        assert ringotel.shown == [("201", PEER, 1, "Are you open?")]
        [text] = post(server, account, "genericSmsFetch")["received_smss"]
        assert (text["sms_text"], text["sender"]) == ("Are you open?", PEER)

        post(server, account, "genericSmsSend", sms_to=PEER, sms_body="By Acrobits")
        hooks = {hook["carrier"]: hook["url"] for hook in server.json("webhooks")}
        params = {"orgid": ORG, "messageid": "m1", "from": "201", "to": PEER, "type": 1}
        event = {
            "method": "message",
            "api_key": TOKEN,
            "params": params | {"content": "By Ringotel"},
        }
        answer = requests.post(hooks["ringotel"], json=event, timeout=PATIENCE)
        assert (answer.status_code, answer.json()) == (200, {"result": "taken"})
        listed = server.json("messages", "list")
        outbound = {message["text"] for message in listed if message["direction"] == "out"}
        assert outbound == {"By Acrobits", "By Ringotel"}
        assert server.json("push", "check")["ringotel"][0]["ok"]
        assert TOKEN not in server.log.read_text()
        assert "tb_" not in server.log.read_text()
