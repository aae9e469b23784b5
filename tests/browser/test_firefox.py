"""Web Push in Firefox: subscribe, receive a text, show it."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.fakes.autopush import Autopush
from tests.postgres import free_port
from tests.processes import start
from tests.server import Server, running_server
from tests.waiting import PATIENCE

PREFERENCES = {
    "dom.push.connection.enabled": True,
    "dom.push.alwaysConnect": True,
    "dom.push.testing.allowInsecureServerURL": True,
    "permissions.default.desktop-notification": 1,
    "alerts.useSystemBackend": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
SUBSCRIBE = """async (key) => {
  const registration = await navigator.serviceWorker.register("/worker.js");
  await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  return JSON.stringify(await registration.pushManager.subscribe(options));
}"""
SHOWN = """async () => {
  const registration = await navigator.serviceWorker.ready;
  const shown = await registration.getNotifications();
  return JSON.stringify(shown.map(({ title, body, tag, data }) => ({ title, body, tag, data })));
}"""
UNSUBSCRIBE = """async () => {
  const registration = await navigator.serviceWorker.ready;
  return String(await (await registration.pushManager.getSubscription()).unsubscribe());
}"""


class Firefox:
    """A Firefox without a window, told what to do by WebDriver BiDi.

    https://w3c.github.io/webdriver-bidi/
    """

    def __init__(self, talk: ClientConnection) -> None:
        self._ids = itertools.count(1)
        self._socket = talk
        self.ask("session.new", capabilities={})
        self._window = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; returns its result."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(60))
            if told.get("id") == number:
                assert told["type"] == "success", told
                return dict(told["result"])

    def open(self, url: str) -> None:
        """Open a page and wait until it is there."""
        self.ask("browsingContext.navigate", context=self._window, url=url, wait="complete")

    def run(self, function: str, *arguments: str) -> Any:
        """Call a function in the page that returns a promise of a text."""
        result = self.ask(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[{"type": "string", "value": argument} for argument in arguments],
            target={"context": self._window},
            awaitPromise=True,
            userActivation=True,
        )
        assert result["type"] == "success", result
        return result["result"]["value"]


@contextmanager
def running_firefox(program: str, profile: Path, push_url: str) -> Iterator[Firefox]:
    """Start a Firefox with a profile of its own, and end it with all its processes."""
    preferences = PREFERENCES | {"dom.push.serverURL": push_url}
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()]
    profile.mkdir()
    (profile / "user.js").write_text("\n".join(lines))
    port = free_port()
    command = [program, "--headless", "--no-remote", "--profile", str(profile)]
    with (profile / "firefox.log").open("wb") as log:
        process = start(
            *command,
            "--remote-debugging-port",
            str(port),
            env={"PATH": os.environ["PATH"], "HOME": str(profile)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for_port(port)
        with connect(f"ws://127.0.0.1:{port}/session", max_size=None) as talk:
            yield Firefox(talk)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def wait_for_port(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < end, "Firefox does not listen"
        time.sleep(0.1)


@pytest.fixture
def autopush() -> Iterator[Autopush]:
    with Autopush() as running:
        yield running


@pytest.fixture
def firefox(tmp_path: Path, autopush: Autopush) -> Iterator[Firefox]:
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("Firefox is not installed (package firefox-esr).")
    with running_firefox(program, tmp_path / "profile", autopush.socket_url) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, autopush: Autopush) -> Iterator[Server]:
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), "utf-8")
    with running_server(storage, {"PUSH_HOSTS": autopush.url}) as running:
        yield running


def test_a_text_is_shown_by_firefox(server: Server, autopush: Autopush, firefox: Firefox) -> None:
    made = json.loads(server.flask("devices", "add", "201", "--name", "Firefox", "--json").stdout)
    api, auth = f"{server.url}/api/v1", {"Authorization": f"Bearer {made['token']}"}
    device = f"{api}/devices/{made['device_id']}"
    key = requests.get(f"{api}/me", headers=auth, timeout=PATIENCE).json()["vapid_public_key"]

    firefox.open(f"{autopush.url}/")
    subscription = json.loads(firefox.run(SUBSCRIBE, key))
    push = {"type": "webpush", **subscription}
    answer = requests.put(device, json={"push": push}, headers=auth, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    tried = requests.post(f"{device}/test", headers=auth, timeout=PATIENCE).json()
    assert tried["outcome"] == "taken", tried

    said = ("--from", PEER, "--to", NUMBER, "--text", "Good morning 😀")
    done = server.flask("simulate", "sandbox", *said)
    assert done.returncode == 0, done.stderr
    shown = wait_for_notifications(firefox, 2)
    (text,) = (one for one in shown if one["title"] == PEER)
    assert text["body"] == "Good morning 😀"
    assert text["data"]["type"] == "message.received"
    assert text["data"]["unread_total"] == 1
    assert re.fullmatch("[0-9a-f-]{36}", text["tag"])
    assert autopush.statuses == [201, 201]

    assert firefox.run(UNSUBSCRIBE) == "true"
    tried = requests.post(f"{device}/test", headers=auth, timeout=PATIENCE).json()
    assert tried["outcome"] == "gone"
    told = requests.get(f"{api}/me", headers=auth, timeout=PATIENCE).json()["device"]
    assert told["push"] == {"type": "none"}


def wait_for_notifications(firefox: Firefox, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + PATIENCE
    while True:
        shown: list[dict[str, Any]] = json.loads(firefox.run(SHOWN))
        if len(shown) >= count:
            return shown
        assert time.monotonic() < end, shown
        time.sleep(0.1)
