"""A client generated from the OpenAPI document by openapi-generator, against a real server."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.pictures import jpeg
from tests.server import running_server
from tests.waiting import PATIENCE, eventually

JPEG = b"\xff\xd8"  # how every JPEG begins
PACKAGE = "textbridge_client"


@pytest.fixture
def java() -> None:
    """The Java that openapi-generator runs on."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed (package default-jre-headless).")


def generated(document: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The Python client of a document; the generator is called as everybody calls it."""
    source = folder / "openapi.json"
    source.write_text(document, encoding="utf-8")
    made = subprocess.run(
        [
            Path(sys.executable).with_name("openapi-generator-cli"),
            *("generate", "-g", "python", "-i", source, "-o", folder / "client"),
            f"--additional-properties=packageName={PACKAGE}",
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(folder / "client")
    return importlib.import_module(PACKAGE)


def kept_file(message: Any) -> Any:
    """The file of a message, once it is here."""
    return next((one for one in message.media if one.state == "kept"), None)


@pytest.mark.usefixtures("java")
def test_a_generated_client_pairs_reads_sends_and_learns_of_the_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = tmp_path / "storage"
    storage.mkdir(mode=0o700)
    (storage / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), "utf-8")
    with running_server(storage) as server:
        document = requests.get(f"{server.url}/api/v1/openapi.json", timeout=PATIENCE).text
        client = generated(document, tmp_path, monkeypatch)
        configuration = client.Configuration(host=server.url)
        api = client.ApiClient(configuration)
        code = server.json("devices", "pair", "201")["code"]
        device = client.NewDevice(name="A generated client", platform="tests")
        paired = client.DevicesApi(api).pair_device(client.Pair(code=code, device=device))
        configuration.access_token = paired.token
        me = client.MeApi(api).get_me()
        assert [own.number for own in me.numbers] == [NUMBER]
        conversations, messages = client.ConversationsApi(api), client.MessagesApi(api)
        assert conversations.list_conversations().items == []

        text = ("--from", PEER, "--to", NUMBER, "--text", "Are you open?")
        assert server.flask("simulate", "sandbox", *text).returncode == 0
        events = client.EventsApi(api).sync(since=me.sync_token, timeout=20)
        assert "Are you open?" in [event.message.text for event in events.events if event.message]
        [conversation] = conversations.list_conversations().items
        assert (conversation.peer, conversation.unread_count) == (PEER, 1)

        asked = client.NewMessage(conversation_id=conversation.id, text="Until six.")
        sent = messages.send_message(asked)
        assert sent.direction == "out"
        told = eventually(lambda: (m := messages.get_message(sent.id)).status == "sent" and m)
        assert told.error is None
        page = conversations.list_messages(conversation.id)
        assert [one.text for one in page.items] == ["Until six.", "Are you open?"]

        outside = ("simulate", "sandbox", "--from", PEER, "--to", NUMBER, "--picture")
        assert server.flask(*outside).returncode == 0
        files = client.MediaApi(api)
        shown = eventually(lambda: kept_file(conversations.list_messages(conversation.id).items[0]))
        assert shown.content_type == "image/jpeg"
        assert files.get_media(shown.id)[:2] == files.get_media_thumbnail(shown.id)[:2] == JPEG
        uploaded = files.upload_media(file=("map.jpg", jpeg()))
        asked = client.NewMessage(
            conversation_id=conversation.id, text="Here we are.", media_ids=[uploaded.id]
        )
        with_file = messages.send_message(asked)
        assert [one.id for one in with_file.media] == [uploaded.id]
        eventually(lambda: messages.get_message(with_file.id).status == "sent")
        since = client.MeApi(api).get_me().sync_token
        done = server.flask("simulate-status", "sandbox", "delivered", "--message", with_file.id)
        assert done.returncode == 0, done.stderr
        told = eventually(
            lambda: (m := messages.get_message(with_file.id)).status == "delivered" and m
        )
        assert (told.state, told.error) == ("delivered", None)
        news = client.EventsApi(api).sync(since=since, timeout=20).events
        assert (with_file.id, "delivered") in [
            (one.message.id, one.message.status) for one in news if one.message
        ]
        assert files.get_media(uploaded.id)[:2] == JPEG
        mark = conversations.mark_conversation_read(
            conversation.id, client.Read(up_to_seq=told.seq)
        )
        assert mark.unread_count == 0

        group = client.NewMessage(to=client.NewMessageTo([PEER, "+13035550178"]), text="Both")
        assert messages.send_message(group).to == [PEER, "+13035550178"]

        with pytest.raises(client.ApiException) as refused:
            messages.send_message(client.NewMessage(text="To nobody"))
        assert refused.value.status == 422
