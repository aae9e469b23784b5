"""Notifications of the phone app, from its switch through a push service to the display."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.phone.world import SETTINGS, SINGLE, World
from tests.browser.test_sandbox import HOSTILE
from tests.fakes.push_services import BrowserPush, plain
from tests.server import Server, running_server
from tests.waiting import eventually

Open = Callable[..., Any]
# A browser without its maker's push service: it subscribes at the fake one.
SUBSCRIBE = """PushManager.prototype.subscribe = async function ({ applicationServerKey }) {
    window.key = new Uint8Array(applicationServerKey);
    return { toJSON: () => (ADDRESS) };
}"""


@pytest.fixture(scope="module")
def service() -> Iterator[BrowserPush]:
    """A push service of browsers."""
    with BrowserPush() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, service: BrowserPush) -> Iterator[Server]:
    """A server that may push to it."""
    storage = tmp_path_factory.mktemp("push") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    with running_server(storage, {"PUSH_HOSTS": service.url}) as running:
        yield running


@pytest.fixture
def page(phone: Open, service: BrowserPush) -> Any:
    """The app of 203, which may show notifications."""
    page = phone("203", permissions=["notifications"])
    page.context.add_init_script(SUBSCRIBE.replace("ADDRESS", json.dumps(service.address)))
    page.reload()
    page.get_by_role("button", name="Settings").click()
    return page


def device(world: World) -> Any:
    """The newest app of 203, as the server knows it."""
    apps = [d for d in world.api("GET", "/devices", "203")["items"] if d["platform"] == "web"]
    return max(apps, key=lambda d: d["id"])


def test_notifications_are_turned_on_tested_and_turned_off(
    page: Any, world: World, service: BrowserPush
) -> None:
    page.get_by_role("switch", name="Notifications").check()
    eventually(lambda: device(world)["push"]["type"] == "webpush")
    before = len(service.taken)
    page.get_by_role("button", name="Send me a test").click()
    page.get_by_role("dialog").get_by_role("status").filter(has_text="taken").wait_for()
    told = service.wait_for(before + 1)[-1]
    assert told["type"] == "device.test"
    assert plain(bytes(page.evaluate("[...window.key]"))) in service.keys
    page.get_by_role("switch", name="Notifications").uncheck()
    eventually(lambda: device(world)["push"]["type"] == "none")
    page.get_by_role("button", name="Send me a test").wait_for(state="hidden")
    assert service.wrong == []


def test_the_card_above_the_list_turns_notifications_on(page: Any, world: World) -> None:
    page.keyboard.press("Escape")
    card = page.get_by_role("region", name="Do not miss a text")
    card.get_by_role("button", name="Turn on notifications").click()
    eventually(lambda: device(world)["push"]["type"] == "webpush")
    card.wait_for(state="hidden")


def test_a_subscription_that_was_forgotten_is_made_anew_at_the_next_start(
    page: Any, world: World
) -> None:
    page.get_by_role("switch", name="Notifications").check()
    eventually(lambda: device(world)["push"]["type"] == "webpush")
    gone = f"/devices/{device(world)['id']}"  # as after the push service's 410
    world.api("PUT", gone, "203", json={"push": {"type": "none"}})
    page.reload()
    eventually(lambda: device(world)["push"]["type"] == "webpush")


def test_how_much_is_shown_and_when_it_is_quiet(page: Any, world: World) -> None:
    page.get_by_role("switch", name="Notifications").check()
    page.get_by_label("A notification shows").select_option("Name only")
    eventually(lambda: device(world)["preview"] == "sender")
    page.get_by_role("switch", name="Quiet hours").check()
    start = page.get_by_role("dialog").get_by_label("Start", exact=True)
    start.fill("21:30")
    start.press("Tab")
    zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    wanted = {"start": "21:30", "end": "07:00", "time_zone": zone}
    eventually(lambda: device(world)["quiet_hours"] == wanted)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Settings").click()
    assert page.get_by_role("switch", name="Quiet hours").is_checked()
    page.get_by_role("switch", name="Quiet hours").uncheck()
    eventually(lambda: device(world)["quiet_hours"] is None)


@pytest.mark.parametrize(
    ("name", "text"),
    [("Ann Example", "Are you awake?"), (HOSTILE[1], f"{HOSTILE[0]} \u202egnp.exe\u2066")],
    ids=["plain", "hostile"],
)
def test_what_is_pushed_is_shown_and_goes_once_it_is_read(
    page: Any, world: World, service: BrowserPush, server: Server, name: str, text: str
) -> None:
    page.get_by_role("switch", name="Notifications").check()
    eventually(lambda: device(world)["push"]["type"] == "webpush")
    page.keyboard.press("Escape")
    peer = world.peer()
    world.api("PUT", f"/contacts/{peer}", "203", json={"name": name})
    page.reload()
    kept = "async () => (await (await import('/phone/db.js')).all('contacts')).map((c) => c.name)"
    eventually(lambda: name in page.evaluate(kept))
    before = len(service.taken)
    world.text(peer, text, to=SINGLE)
    told = service.wait_for(before + 1)[-1]
    assert told["title"] == peer
    deliver(page, server, told)
    wait_for_notifications(page, [f"{name}: {text}"])
    read = {"v": 1, "type": "conversation.read", "conversation_id": told["conversation_id"]}
    deliver(page, server, {**read, "unread_total": 0})
    wait_for_notifications(page, [])


def wait_for_notifications(page: Any, wanted: list[str]) -> None:
    """Wait until exactly these are shown."""
    shown = """async () => {
        const found = await (await navigator.serviceWorker.ready).getNotifications();
        return found.map(({ title, body }) => `${title}: ${body}`);
    }"""
    eventually(lambda: page.evaluate(shown) == wanted)


def deliver(page: Any, server: Server, told: dict[str, Any]) -> None:
    """Hand a push to the service worker, as the browser does."""
    browser = page.context.new_cdp_session(page)
    registrations: list[str] = []
    browser.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(r["registrationId"] for r in event["registrations"]),
    )
    browser.send("ServiceWorker.enable")
    while not registrations:
        page.wait_for_timeout(20)
    browser.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": server.url, "registrationId": registrations[-1], "data": json.dumps(told)},
    )
    browser.detach()


def test_a_browser_that_cannot_says_why(phone: Open) -> None:
    page = phone("203")
    page.evaluate("() => void Object.defineProperty(Notification, 'permission', {value: 'denied'})")
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Notifications are blocked for this app.").wait_for()
    assert page.get_by_role("switch", name="Notifications").is_disabled()
