"""Take pictures of our own pages in Chromium: ``make pictures``.

All of them are written to dist/pictures, at the widths of a phone and of a desk, light and dark;
those that the documentation shows also to docs/images. Needs the package chromium.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.server import Server, running_server

ROOT = Path(__file__).resolve().parent.parent
TAKEN = ROOT / "dist" / "pictures"
SHOWN = {
    "sandbox-1280-light": "sandbox",
    "admin-1280-light": "admin",
    "admin-390-dark": "admin-narrow",
}
SIZES = {390: 844, 1280: 800}
SCHEMES = ("light", "dark")
PASSWORD = "a good password"  # noqa: S105 - of the server that is made for the pictures
PEER, NUMBER = "+13035550177", "+12025550100"
NAMES = {PEER: "Alice Moreau", "+13035550178": "Ben Ortiz", "+13035550179": "Harbour Dental"}
TEXTS = (
    ("+13035550179", "Your appointment is on Friday at 10."),
    ("+13035550178", "The parcel is at the front desk."),
    (PEER, "Hello! Are you open on Saturday?"),
)


def fill(server: Server) -> None:
    """Numbers, people and texts, as in an office."""
    sales = ("+12025550143", "--carrier", "sandbox", "--extension", "202", "--extension", "201")
    for command in (
        ("settings", "set", *sales, "--description", "Sales"),
        ("extensions", "name", "201", "Ada Byron"),
        ("extensions", "name", "202", "Grace Lee"),
        *(("contacts", "set", number, name) for number, name in NAMES.items()),
        *(
            ("simulate", "sandbox", "--from", peer, "--to", NUMBER, "--text", text)
            for peer, text in TEXTS
        ),
    ):
        done = server.flask(*command)
        if done.returncode:
            raise SystemExit(f"flask {' '.join(command)}: {done.stderr or done.stdout}")


def take(server: Server, browser: Any) -> None:
    """Take every page in every size and scheme."""
    message = server.json("messages", "list")[0]["id"]
    pages = {
        "admin": "/admin/",
        "admin-numbers": "/admin/message-settings",
        "admin-messages": "/admin/messages",
        "admin-message": f"/admin/messages/{message}",
        "admin-devices": "/admin/devices",
    }
    for width, height in SIZES.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                locale="en-US",
                reduced_motion="reduce",
            )
            page = context.new_page()

            def save(name: str, page: Any = page, end: str = f"{width}-{scheme}") -> None:
                page.screenshot(path=TAKEN / f"{name}-{end}.png")

            page.goto(f"{server.url}/sandbox")
            page.locator(f"html[data-phone='{PEER}']").wait_for()
            save("sandbox")
            page.goto(f"{server.url}/admin/")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Sign out").wait_for()
            for name, path in pages.items():
                answer = page.goto(f"{server.url}{path}")
                if not answer.ok:
                    raise SystemExit(f"{path} answers {answer.status}.")
                save(name)
            link = server.json("devices", "pair", "201")["link"]
            page.goto(server.url + "/phone/" + link.partition("/phone/")[2])
            page.get_by_role("button", name="Connect", exact=True).click()
            page.locator("#conversations a").first.wait_for()
            save("phone")
            context.close()


def main() -> None:
    """Fill a server of its own, and take the pictures."""
    TAKEN.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("Chromium is missing: sudo apt-get install chromium")
    env = {"ADMIN_PASSWORD": PASSWORD, "APP_NAME": "Harbour Office"}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder) / "storage", env) as server,
        sync_playwright() as playwright,
    ):
        fill(server)
        take(server, playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]))
    for taken, shown in SHOWN.items():
        shutil.copy(TAKEN / f"{taken}.png", ROOT / "docs" / "images" / f"{shown}.png")


if __name__ == "__main__":
    main()
