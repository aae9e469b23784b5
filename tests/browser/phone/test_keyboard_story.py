"""The first story of a user by the keyboard alone, and by the accessibility tree alone.

Nothing is found by a selector: what is there is read from Chromium's accessibility tree, by role
and name, as a screen reader reads it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.browser.phone.world import SHARED_NUMBER, World, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
MOST_TABS = 60


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the accessibility tree."""

    role: str
    name: str
    state: dict[str, Any]
    dom: int  # Chromium's number of the element


class Reader:
    """Somebody who knows of a page only what its accessibility tree says."""

    window: ClassVar[dict[str, int]]

    def __init__(self, page: Any) -> None:
        self.page = page
        self.session = page.context.new_cdp_session(page)
        self.session.send("Accessibility.enable")
        self.session.send("DOM.enable")

    def tree(self) -> list[Node]:
        """All nodes that are not ignored, in their order."""
        return [
            Node(
                node["role"]["value"],
                node.get("name", {}).get("value", ""),
                {each["name"]: each["value"].get("value") for each in node.get("properties", ())},
                node.get("backendDOMNodeId", 0),
            )
            for node in self.session.send("Accessibility.getFullAXTree")["nodes"]
            if not node["ignored"]
        ]

    def find(self, role: str, name: str) -> Node | None:
        """The first node with this role whose name matches, if there is one."""
        return next((n for n in self.tree() if is_like(n, role, name)), None)

    def hears(self, role: str, name: str) -> Node:
        """Wait for a node with this role and name."""
        try:
            found: Node = eventually(lambda: self.find(role, name))
        except AssertionError:
            there = [f"{n.role} “{n.name}”" for n in self.tree() if n.name]
            raise AssertionError(f"There is no {role} “{name}”: {there}") from None
        return found

    def hears_no(self, role: str, name: str) -> None:
        eventually(lambda: not self.find(role, name))

    def types(self, text: str) -> None:
        """Write where the focus is."""
        self.page.keyboard.type(text)

    def activate(self, role: str, name: str) -> None:
        """Press a button, follow a link, turn a switch."""
        raise NotImplementedError

    def enter(self, role: str, name: str) -> None:
        """Go to a field; what is in it is selected."""
        raise NotImplementedError

    def submit(self) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        """Close what is open, or go back."""
        raise NotImplementedError


class Keyboard(Reader):
    """Sits at a desk, has keys and nothing else."""

    window: ClassVar = {"width": 1280, "height": 800}

    def focused(self) -> Node | None:
        found = [n for n in self.tree() if n.state.get("focused") and n.role != "RootWebArea"]
        return found[-1] if found else None

    def go(self, role: str, name: str) -> None:
        """Press Tab until the focus is there; once around the page is enough."""
        self.hears(role, name)
        for _ in range(MOST_TABS):
            here = self.focused()
            if here and is_like(here, role, name):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach the {role} “{name}”.")

    def activate(self, role: str, name: str) -> None:
        self.go(role, name)
        self.page.keyboard.press("Space" if role == "switch" else "Enter")

    def enter(self, role: str, name: str) -> None:
        self.go(role, name)
        self.page.keyboard.press("Control+a")

    def submit(self) -> None:
        self.page.keyboard.press("Enter")

    def leave(self) -> None:
        self.page.keyboard.press("Escape")


class ScreenReader(Reader):
    """Acts on nodes of the tree, as the screen reader of a phone does; has no Tab and no mouse."""

    window: ClassVar = {"width": 390, "height": 844}

    def call(self, node: Node, function: str) -> None:
        found = self.session.send("DOM.resolveNode", {"backendNodeId": node.dom})["object"]
        self.session.send(
            "Runtime.callFunctionOn",
            {"objectId": found["objectId"], "functionDeclaration": function},
        )

    def activate(self, role: str, name: str) -> None:
        self.call(self.hears(role, name), "function () { this.focus(); this.click(); }")

    def enter(self, role: str, name: str) -> None:
        self.call(self.hears(role, name), "function () { this.focus(); this.select(); }")

    def submit(self) -> None:
        names = "Connect|Next|Send"
        self.activate("button", names)

    def leave(self) -> None:
        self.activate("button", "Close|Back.*")


def is_like(node: Node, role: str, name: str) -> bool:
    return node.role == role and re.fullmatch(name, node.name) is not None


@pytest.mark.parametrize("driver", [Keyboard, ScreenReader])
def test_the_first_story(
    open_page: Open, world: World, tmp_path: Path, driver: type[Reader], complaints: list[str]
) -> None:
    peer, other = world.peer(), world.peer()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    world.text(peer, "Are you open on Saturday?")
    page = open_page("/phone/", viewport=driver.window)
    user = driver(page)
    who = re.escape(spoken(peer))

    user.enter("textbox", "Code")  # pair
    user.types(world.code())
    user.enter("textbox", "Name of this device")
    user.types("By keyboard")
    user.submit()
    user.hears("heading", "Messages")

    user.activate("link", f".*{who}.*Are you open on Saturday.*")  # read
    user.hears("log", f"Messages with {who}")
    user.hears("StaticText", re.escape("Are you open on Saturday?"))
    eventually(lambda: world.conversation(peer)["unread_count"] == 0)

    user.enter("textbox", f"Message to {who}")  # answer
    user.types("From nine to one.")
    user.submit()
    user.hears("StaticText", re.escape("From nine to one."))
    world.receipt(world.sent(peer)["id"])
    user.hears("StaticText", "Delivered")

    user.activate("button", f"Picture from {who}.*: show it large")  # picture
    user.hears("dialog", "Picture.*")
    user.hears("image", f"Picture from {who}.*")
    user.leave()
    user.hears_no("dialog", ".*")
    picture = tmp_path / "map.jpg"
    picture.write_bytes(page.request.get(f"{world.server.url}/sandbox/static/bridge.jpg").body())
    with page.expect_file_chooser() as chooser:
        user.activate("button", "Attach a picture or a file")
    chooser.value.set_files(picture)
    user.hears("button", re.escape("Remove map.jpg"))
    user.activate("button", "Send")
    assert [m["name"] for m in world.sent(peer)["media"]] in (["map.jpg"], [])

    user.leave()  # new conversation
    user.activate("button", "New conversation")
    user.enter("textbox", "To")
    user.types(other)
    user.submit()
    user.enter("textbox", f"Message to {re.escape(spoken(other))}")
    user.types("Good morning!")
    user.submit()
    assert world.sent(other)["text"] == "Good morning!"

    user.leave()
    user.activate("button", "Settings")  # settings
    user.hears("dialog", "Settings")
    before = user.hears("switch", "Sound while the app is open").state["checked"]
    user.activate("switch", "Sound while the app is open")
    eventually(
        lambda: user.hears("switch", "Sound while the app is open").state["checked"] != before
    )
    user.enter("textbox", "Name")
    user.types("Desk")
    user.activate("button", "Sign out")  # leaves the field, which saves it
    user.hears("alertdialog", re.escape("Sign out?"))
    names = eventually(
        lambda: (
            "Desk" in (told := [d["name"] for d in world.api("GET", "/devices")["items"]]) and told
        )
    )
    assert "By keyboard" not in names
    user.activate("button", "Cancel")
    user.hears_no("alertdialog", ".*")
    user.activate("button", "Sign out")
    user.hears("alertdialog", re.escape("Sign out?"))
    sign_out_here(user)
    user.hears("textbox", "Code")
    assert "Desk" not in [d["name"] for d in world.api("GET", "/devices")["items"]]
    assert world.conversation(peer)["number"] == SHARED_NUMBER
    assert complaints == []


def sign_out_here(user: Reader) -> None:
    """Press the button of the question, the last of this name."""
    if isinstance(user, ScreenReader):
        buttons = [n for n in user.tree() if is_like(n, "button", "Sign out")]
        user.call(buttons[-1], "function () { this.click(); }")
    else:
        user.activate("button", "Sign out")
