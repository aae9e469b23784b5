"""Pictures of pages in Chromium, at three widths, light and dark, the same in every run."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import OPTIONS, PROGRAMS
from tests.screenshots.data import NOW, ZONE, Data

SIZES = {390: 844, 820: 1180, 1280: 900}
SCHEMES = ("light", "dark")
TALLEST = 8000  # of a page that is photographed whole
# What differs from run to run: the port, ids, codes, file systems, and how long something took.
CHANGING = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:8000"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "0197-example-id"),
    (r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", "ABCD-2345"),
    (r"(?<=#code=)[A-Z0-9-]+", "ABCD-2345"),
    (r"(?<=\d\d:\d\d:)\d\d\b", "30"),
    (r"\b\d+(?:\.\d+)? (ms|s|seconds?)\b", "1 $1"),
    (r"/tmp/\S+?/storage", "/srv/textbridge/storage"),
    (r"\b\d[\d.,]* [kMG]B free", "100 GB free"),
)
# Puts the same words in place of these, hides what is drawn of them, and waits for what loads.
STILL = """async (changing) => {
  const same = (text) => changing.reduce(
    (all, [pattern, words]) => all.replace(new RegExp(pattern, "g"), words), text);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = same(walk.currentNode.data);
    if (text !== walk.currentNode.data) walk.currentNode.data = text;
  }
  for (const field of document.querySelectorAll("input[type=text], textarea"))
    if (same(field.value) !== field.value) field.value = same(field.value);
  for (const code of document.querySelectorAll(".qr img, .qr svg")) code.style.opacity = 0;
  await document.fonts.ready;
  const inside = ({ top, bottom }) => bottom > 0 && top < innerHeight;
  const seen = [...document.images].filter((one) => one.checkVisibility())
    .filter((one) => one.loading !== "lazy" || inside(one.getBoundingClientRect()));
  await Promise.all(seen.map((one) => one.decode().catch(() => {})));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


class Camera:
    """Takes pictures into a folder; ``faults`` has what a picture shows that is never right."""

    def __init__(self, browser: Any, data: Data, folder: Path) -> None:
        self._browser = browser
        self.data = data
        self._folder = folder
        self.faults: list[str] = []

    @contextmanager
    def window(self, locale: str = "en-US", **options: Any) -> Iterator[Any]:
        """A page in a browser window of its own, with the clock at ``NOW``."""
        context = self._browser.new_context(
            locale=locale, timezone_id=ZONE, reduced_motion="reduce", **options
        )
        context.clock.set_fixed_time(NOW)
        page = context.new_page()
        page.set_default_timeout(60_000)
        try:
            yield page
        finally:
            context.close()

    def take(self, page: Any, name: str, *, whole: bool = True) -> None:
        """A picture of a page as it stands for each size and scheme; ``whole``: all its height."""
        for width, height in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                page.evaluate(STILL, [list(one) for one in CHANGING])
                self._take(page, self._folder / f"{name}-{width}-{scheme}.png", whole)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.faults.append(f"{name} at {width} px: wider than its window")

    def _take(self, page: Any, path: Path, whole: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        height = page.evaluate("document.documentElement.scrollHeight")
        options: dict[str, Any] = {"full_page": whole and height <= TALLEST}
        page.screenshot(path=path, animations="disabled", caret="hide", **options)


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium, with the same letters on every machine that has the same fonts.

    Raises ``SystemExit`` with what to do where it is not installed.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit("Chromium is not installed. As root: make test-tools")
    steady = ["--font-render-hinting=none", "--force-device-scale-factor=1", "--hide-scrollbars"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *steady])
        yield browser
        browser.close()
