"""The phone app offers notifications and installing, and on an iPhone how to install it first."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import IPHONE, World, row, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
OFFER = """() => {
    const event = new Event("beforeinstallprompt", { cancelable: true });
    window.prompted = 0;
    event.prompt = async () => void (window.prompted += 1);
    event.userChoice = Promise.resolve({ outcome: "accepted" });
    dispatchEvent(event);
}"""
STAGE = "async () => (await import('/phone/db.js')).get('setup_card')"


def card(page: Any) -> Any:
    return page.get_by_role("region", name="Do not miss a text")


def test_the_card_comes_back_once_with_the_next_text(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    card(page).get_by_role("button", name="Turn on notifications").wait_for()
    card(page).get_by_role("button", name="Not now").click()
    card(page).wait_for(state="hidden")
    eventually(lambda: page.evaluate(STAGE) == "closed")
    page.reload()
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    world.text(peer, "hi")
    card(page).wait_for()
    card(page).get_by_role("button", name="Not now").click()
    card(page).wait_for(state="hidden")
    world.text(peer, "hello?")
    row(page, spoken(peer)).get_by_text("hello?").wait_for()
    assert not card(page).is_visible()
    assert page.evaluate(STAGE) == "never"


def test_the_browser_s_offer_to_install_is_taken(phone: Open) -> None:
    page = phone()
    card(page).wait_for()
    assert not card(page).get_by_role("button", name="Install").is_visible()
    page.evaluate(OFFER)
    card(page).get_by_role("button", name="Install").click()
    card(page).get_by_role("button", name="Install").wait_for(state="hidden")
    assert page.evaluate("window.prompted") == 1
    page.evaluate(OFFER)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("dialog").get_by_role("button", name="Install").click()
    assert page.evaluate("window.prompted") == 1


def test_a_refused_permission_is_said(phone: Open) -> None:
    page = phone()
    page.evaluate("() => void (Notification.requestPermission = async () => 'denied')")
    card(page).get_by_role("button", name="Turn on notifications").click()
    card(page).get_by_text("Notifications are blocked for this app.").wait_for()


def test_on_an_iphone_the_app_is_installed_before_the_code_is_spent(
    open_page: Open, world: World
) -> None:
    code = world.code()
    page = open_page(f"/phone/#code={code}", user_agent=IPHONE)
    page.get_by_role("heading", name="Install Textbridge first").wait_for()
    page.get_by_text("Tap “Add to Home Screen”, then “Add”.").wait_for()
    page.get_by_text(code, exact=True).wait_for()
    assert not page.get_by_role("button", name="Connect", exact=True).is_visible()
    page.get_by_role("button", name="Connect here").click()  # who wants to may
    page.get_by_role("button", name="Connect", exact=True).click()
    card(page).get_by_text("tap Share, then “Add to Home Screen”").wait_for()


def test_the_installed_app_on_an_iphone_asks_for_the_code(open_page: Open, world: World) -> None:
    page = open_page("/phone/", user_agent=IPHONE)
    page.context.add_init_script("Object.defineProperty(navigator, 'standalone', { value: true })")
    page.reload()
    page.get_by_label("Code", exact=True).fill(world.code())
    page.get_by_role("button", name="Connect", exact=True).click()
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
