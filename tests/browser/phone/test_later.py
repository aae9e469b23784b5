"""Send later in the phone app: scheduled, shown, changed, sent now, cancelled, and sent once."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.browser.phone.test_access import faults
from tests.browser.phone.world import SETTINGS, SHARED_NUMBER, World, row, said, spoken, texts
from tests.conftest import AT_ANY_HOUR
from tests.fakes.wavix import FakeWavix
from tests.message_steps import hours_from_now, set_time
from tests.server import UNLIMITED, Server, running_server
from tests.waiting import eventually

Open = Callable[..., Any]
BRITON = "+442071838750"
ZONE = "America/New_York"


@pytest.fixture(scope="module")
def wavix() -> Iterator[FakeWavix]:
    """The carrier of all numbers here."""
    with FakeWavix() as carrier:
        yield carrier


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, wavix: FakeWavix) -> Iterator[Server]:
    """A server where no recipient has quiet hours but those in Britain, who have them now."""
    storage = tmp_path_factory.mktemp("later") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS.replace("sandbox", "wavix"), "utf-8")
    hours = {
        "SEND_COUNTRIES": "US, GB",
        **AT_ANY_HOUR,
        "SCHEDULED_COUNTRY_HOURS": f"GB {hours_from_now(2, 4)} UTC",
    }
    with running_server(storage, {**UNLIMITED, **wavix.env, **hours}) as running:
        yield running


def begin(page: Any, peer: str, text: str = "") -> Any:
    """Write to somebody new; returns the field."""
    page.evaluate("address => (location.hash = address)", f"#/to/{SHARED_NUMBER}/{peer}")
    page.get_by_label(f"Message to {spoken(peer)}").wait_for()
    field = page.locator(".composer textarea")
    field.fill(text)
    return field


def schedule(page: Any, when: str = "Tomorrow, 8:00") -> None:
    page.get_by_role("button", name="Send later").click()
    page.get_by_role("button", name=when).click()
    page.get_by_role("dialog").wait_for(state="hidden")


def section(page: Any) -> Any:
    return page.get_by_role("region", name="Scheduled")


def options(page: Any, action: str = "Change or cancel …") -> None:
    section(page).get_by_role("button", name=action).click()


def has_focus_on_messages(page: Any) -> None:
    """Wait until the focus is on the messages: a dialog gives it back after it has closed."""
    eventually(lambda: page.evaluate("document.activeElement.getAttribute('role') === 'log'"))


def only(world: World, peer: str) -> Any:
    """The only scheduled text to somebody."""
    [found] = [one for one in world.api("GET", "/scheduled")["items"] if one["to"] == [peer]]
    return found


def is_scheduled(world: World, peer: str) -> bool:
    return any(one["to"] == [peer] for one in world.api("GET", "/scheduled")["items"])


def carried(wavix: FakeWavix, text: str) -> int:
    """How often the carrier has got a text."""
    return sum(one["message_body"]["text"] == text for one in wavix.accepted)


def local(message: Any) -> datetime:
    return datetime.fromisoformat(message["send_at"]).astimezone(ZoneInfo(ZONE))


def test_scheduled_shown_on_other_devices_changed_and_cancelled(
    phone: Open, world: World, wavix: FakeWavix
) -> None:
    peer = world.peer()
    mine, other = phone(timezone_id=ZONE), phone("202", timezone_id=ZONE)
    begin(mine, peer, "See you")
    schedule(mine)
    section(mine).get_by_text("Tomorrow, 8:00 AM").wait_for()
    assert section(mine).get_by_text("America/New York").is_visible()
    assert mine.locator(".composer textarea").input_value() == ""
    made = only(world, peer)
    assert (local(made).hour, local(made).minute, made["text"]) == (8, 0, "See you")
    row(other, spoken(peer)).get_by_text("Scheduled", exact=True).wait_for(state="attached")
    row(other, spoken(peer)).click()
    section(other).get_by_text("See you").wait_for()
    options(other)
    other.get_by_role("button", name="Change time …").click()
    other.get_by_label("Another time").fill(f"{local(made) + timedelta(days=8):%Y-%m-%dT}17:30")
    other.get_by_role("button", name="Change", exact=True).click()
    for page in (mine, other):
        section(page).get_by_text("5:30 PM").wait_for()
    assert (local(only(world, peer)).hour, local(only(world, peer)).minute) == (17, 30)
    options(mine)
    mine.get_by_role("button", name="Change text …").click()
    mine.get_by_label("Text", exact=True).fill("See you at noon")
    mine.get_by_role("button", name="Save").click()
    section(other).get_by_text("See you at noon").wait_for()
    options(other)
    other.get_by_role("button", name="Cancel this text").click()
    for page in (mine, other):
        section(page).wait_for(state="hidden")
        said(page, "See you at noon").get_by_text("Cancelled by extension 202.").wait_for()
        mark = row(page, spoken(peer)).get_by_text("Scheduled", exact=True)
        mark.wait_for(state="hidden")
    assert not is_scheduled(world, peer)
    assert carried(wavix, "See you at noon") == carried(wavix, "See you") == 0


def test_at_its_time_it_is_sent_once(phone: Open, world: World, wavix: FakeWavix) -> None:
    peer, page = world.peer(), phone()
    begin(page, peer, "It is time")
    schedule(page)
    section(page).get_by_text("It is time").wait_for()
    begin(page, peer, "This goes first")
    page.get_by_role("button", name="Send", exact=True).click()
    said(page, "This goes first").get_by_text("Sent", exact=True).wait_for()
    assert carried(wavix, "It is time") == 0
    set_time(world.store, only(world, peer)["id"])
    section(page).wait_for(state="hidden")
    said(page, "It is time").get_by_text("Sent", exact=True).wait_for()
    assert texts(page) == ["This goes first", "It is time"]
    assert carried(wavix, "It is time") == 1


def test_quiet_hours_are_named_and_a_text_sent_now_does_not_wait(
    phone: Open, world: World, wavix: FakeWavix
) -> None:
    page = phone()
    page.evaluate("address => (location.hash = address)", f"#/to/{SHARED_NUMBER}/{BRITON}")
    page.locator(".composer textarea").fill("Good evening")
    schedule(page, "In 1 hour")
    section(page).get_by_text("Quiet hours in GB until").wait_for()
    assert carried(wavix, "Good evening") == 0
    options(page)
    page.get_by_role("button", name="Send now").click()
    said(page, "Good evening").get_by_text("Sent", exact=True).wait_for()
    section(page).wait_for(state="hidden")
    has_focus_on_messages(page)
    assert carried(wavix, "Good evening") == 1


def test_a_time_that_cannot_be_is_refused_and_the_draft_stays(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(timezone_id=ZONE)
    later = page.get_by_role("button", name="Send later")
    field = begin(page, peer)
    assert later.is_disabled()
    field.fill("Draft")
    later.click()
    time, alert = page.get_by_label("Another time"), page.get_by_role("alert")
    day = datetime.now(ZoneInfo(ZONE))
    for written, words in (
        ("", "Choose a day and a time."),
        (f"{day - timedelta(days=1):%Y-%m-%dT%H:%M}", "is over. Choose a later time."),
        ("0001-01-01T00:00", "is over. Choose a later time."),
        (f"{day + timedelta(days=368):%Y-%m-%dT%H:%M}", "Choose a time within the next year."),
    ):
        time.fill(written)
        page.get_by_role("button", name="Schedule").click()
        alert.get_by_text(words).wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.ariaLabel") == "Send later"
    assert field.input_value() == "Draft"
    assert page.locator(".talk:visible").count() == 1  # Escape has closed the sheet only
    assert not is_scheduled(world, peer)


def test_what_was_sent_or_cancelled_meanwhile_says_so(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone()
    begin(page, peer, "Too slow")
    schedule(page)
    options(page)
    page.get_by_role("button", name="Cancel this text").wait_for()
    world.api("DELETE", f"/messages/{only(world, peer)['id']}")
    for action in ("Send now", "Cancel this text"):
        # The words of the first refusal still stand there at the second one.
        with page.expect_console_message(lambda line: "409" in line.text):
            page.get_by_role("button", name=action).click()
        page.get_by_role("alert").get_by_text("does not wait for its time any more").wait_for()
    page.keyboard.press("Escape")
    section(page).wait_for(state="hidden")
    has_focus_on_messages(page)
    assert len(complaints) == 2
    assert all("409" in one for one in complaints)
    complaints.clear()


LET_THE_TIME_PASS = """() => new Promise((done) => {
    indexedDB.open("textbridge-phone").onsuccess = ({ target }) => {
        const outbox = target.result.transaction("outbox", "readwrite").objectStore("outbox");
        outbox.openCursor().onsuccess = ({ target: { result: cursor } }) => {
            const send_at = new Date(Date.now() - 3_600_000).toISOString();
            cursor.update({ ...cursor.value, send_at }).onsuccess = done;
        };
    };
})"""


def offline(page: Any) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.locator("#connection").wait_for()


def test_written_offline_it_is_scheduled_when_the_connection_is_back(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone()
    begin(page, peer)
    offline(page)
    begin(page, peer, "From the tunnel")
    schedule(page)
    section(page).get_by_text("Waiting to be sent").wait_for()
    page.context.set_offline(False)
    section(page).get_by_role("button", name="Change or cancel …").wait_for()
    assert only(world, peer)["text"] == "From the tunnel"
    complaints.clear()  # the missing connection, as the browser notes it


@pytest.mark.parametrize("choice", ["Send now", "Delete", "Change time …"])
def test_if_its_time_is_over_then_the_app_asks(
    phone: Open, world: World, wavix: FakeWavix, complaints: list[str], choice: str
) -> None:
    peer, page, text = world.peer(), phone(), f"Over: {choice}"
    begin(page, peer)
    offline(page)
    begin(page, peer, text)
    schedule(page)
    section(page).get_by_text("Waiting to be sent").wait_for()
    page.evaluate(LET_THE_TIME_PASS)
    page.reload()
    section(page).get_by_text("Waiting to be sent").wait_for()
    page.context.set_offline(False)
    section(page).get_by_text("Its time was over before it could be scheduled").wait_for()
    assert (world.conversation(peer), carried(wavix, text)) == (None, 0)
    options(page, "Change or delete …")
    page.get_by_role("dialog").get_by_role("button", name=choice).click()
    if choice == "Delete":
        section(page).wait_for(state="hidden")
        assert world.conversation(peer) is None
    elif choice == "Send now":
        said(page, text).get_by_text("Sent", exact=True).wait_for()
        assert carried(wavix, text) == 1
    else:
        page.get_by_role("button", name="In 1 hour").click()
        section(page).get_by_role("button", name="Change or cancel …").wait_for()
        assert datetime.fromisoformat(only(world, peer)["send_at"]) > datetime.now(UTC)
    complaints.clear()  # the missing connection and the refusal, as the browser notes them


def test_times_that_are_offered(phone: Open) -> None:
    page = phone(timezone_id=ZONE)
    offered = page.evaluate(
        """async (days) => {
            const { offers } = await import("/phone/ask_when.js");
            const plain = ({ name, at }) => [name, at.toISOString()];
            return days.map((day) => offers(new Date(day)).map(plain));
        }""",
        ["2026-12-02T15:00", "2026-12-06T15:00", "2026-12-07T15:00", "2027-03-13T15:00"],
    )
    wednesday, sunday, monday, before_summer = [
        [(name.replace("\u202f", " "), at[:16]) for name, at in one] for one in offered
    ]
    assert wednesday == [
        ("In 1 hour", "2026-12-02T21:00"),
        ("Tomorrow, 8:00 AM", "2026-12-03T13:00"),
        ("Monday, 8:00 AM", "2026-12-07T13:00"),
    ]
    assert [name for name, _ in sunday] == ["In 1 hour", "Tomorrow, 8:00 AM"]
    assert monday[2] == ("Monday, 8:00 AM", "2026-12-14T13:00")
    assert before_summer[1] == ("Tomorrow, 8:00 AM", "2027-03-14T12:00")  # clocks are set forward


def test_the_keyboard_is_enough(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    begin(page, peer, "Typed").focus()
    press = page.keyboard.press
    press("Tab")  # emoji
    press("Tab")
    press("Enter")
    page.get_by_role("dialog", name="Send later").wait_for()
    page.get_by_role("button", name="In 1 hour").focus()
    press("Enter")
    section(page).get_by_role("button").focus()
    assert page.locator(".composer textarea").input_value() == ""
    press("Enter")
    page.get_by_role("button", name="Cancel this text").focus()
    press("Enter")
    section(page).wait_for(state="hidden")
    assert not is_scheduled(world, peer)


def test_on_a_phone_the_key_of_the_keyboard_begins_a_line(phone: Open, world: World) -> None:
    page = phone(viewport={"width": 390, "height": 760}, has_touch=True, is_mobile=True)
    field = begin(page, world.peer(), "One")
    field.press("Enter")
    assert field.input_value() == "One\n"
    assert field.get_attribute("enterkeyhint") is None


def test_on_a_phone_the_send_button_is_held_down(phone: Open, world: World) -> None:
    peer = world.peer()
    page = phone(viewport={"width": 390, "height": 760}, has_touch=True, is_mobile=True)
    begin(page, peer, "Held")
    button = page.get_by_role("button", name="Send", exact=True)
    button.tap(trial=True)  # the pane slides in
    box = button.bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    page.wait_for_timeout(800)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.get_by_role("dialog", name="Send later").wait_for()
    page.get_by_role("button", name="In 1 hour").tap()
    section(page).get_by_text("Held").wait_for()
    assert is_scheduled(world, peer)


def test_of_many_the_next_ones_are_shown(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    for days in range(4):
        at = (datetime.now(UTC) + timedelta(days=days + 1)).isoformat()
        body = {"to": peer, "from": SHARED_NUMBER, "text": f"Day {days}", "send_at": at}
        world.api("POST", "/messages", json=body)
    row(page, spoken(peer)).get_by_text("Scheduled: ").wait_for()
    row(page, spoken(peer)).click()
    section(page).get_by_text("Day 1", exact=True).wait_for()
    assert section(page).locator(".words").all_text_contents() == ["Day 0", "Day 1"]
    section(page).get_by_role("button", name="Show all 4").click()
    section(page).get_by_text("Day 3", exact=True).wait_for()
    assert texts(page) == [f"Day {day}" for day in range(4)]
    assert faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_in_its_sheets(
    phone: Open, world: World, width: int, scheme: str
) -> None:
    still = {"color_scheme": scheme, "reduced_motion": "reduce", "bypass_csp": True}
    page = phone(viewport={"width": width, "height": 844}, **still)
    begin(page, world.peer(), "Words")
    page.get_by_role("button", name="Send later").click()
    page.get_by_label("Another time").fill("2001-01-01T00:00")
    page.get_by_role("button", name="Schedule").click()
    page.get_by_role("alert").wait_for()
    assert faults(page) == []
    page.get_by_role("button", name="Tomorrow").click()
    options(page)
    assert faults(page) == []
    page.get_by_role("button", name="Change text …").click()
    page.get_by_label("Text", exact=True).wait_for()
    assert faults(page) == []
