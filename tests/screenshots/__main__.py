"""``make screenshots``: pictures of every page, and what changed since those of another folder.

``make pictures`` (``--docs``) takes those that the documentation shows, into docs/images.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.screenshots import docs_images, phone_app
from tests.screenshots.camera import SCHEMES, SIZES, Camera, chromium
from tests.screenshots.compare import compare
from tests.screenshots.contact_sheet import write_sheets
from tests.screenshots.data import PASSWORD, running
from tests.screenshots.pages import LANGUAGES, OPERATOR, OTHERS, SIGN_IN, Shown


def main() -> int:
    """Take the pictures; returns 1 where a page is wider than its window."""
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("screenshots"))
    parser.add_argument("--before", type=Path, help="a folder with the pictures of a release")
    parser.add_argument("--only", default="", help="only pages with this in their name")
    parser.add_argument("--docs", action="store_true", help="write the pictures of docs/images")
    asked = parser.parse_args()
    if asked.before and not any(asked.before.rglob("*.png")):
        parser.error(f"{asked.before} has no pictures.")
    if asked.before and asked.into.resolve() in (
        asked.before.resolve(),
        *asked.before.resolve().parents,
    ):
        parser.error(f"Move {asked.before} elsewhere first: {asked.into} is written anew.")
    if shutil.which("gcc") is None:
        parser.error("gcc is missing: it builds the clock that stands still (make test-tools).")
    if asked.docs:
        return _write_docs_images()
    pictures = asked.into / "pages"
    if not asked.only:
        shutil.rmtree(asked.into, ignore_errors=True)
    faults = _photograph(pictures, lambda name: asked.only in name)
    print(f"{len(list(pictures.rglob('*.png')))} pictures in {pictures}")
    for width in SIZES:
        for scheme in SCHEMES:
            write_sheets(pictures, f"{width}-{scheme}", asked.into / "sheets")
    if asked.before:
        earlier = asked.before / "pages" if (asked.before / "pages").is_dir() else asked.before
        found = compare(earlier, pictures, asked.into / "differences")
        print(*found.lines(), sep="\n")
        (asked.into / "differences.txt").write_text("\n".join(found.lines()) + "\n", "utf-8")
    return 1 if faults else 0


def _write_docs_images() -> int:
    with tempfile.TemporaryDirectory() as folder:
        faults = _photograph(Path(folder), lambda name: name in docs_images.PARTS)
        docs_images.write(Path(folder))
    return 1 if faults else 0


def _photograph(pictures: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Take the pictures of the pages that are wanted by their names; prints and returns faults."""
    with (
        chromium() as browser,
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as data,
    ):
        camera = Camera(browser, data, pictures)
        _walk(camera, wanted)
    for fault in camera.faults:
        print(fault, file=sys.stderr)
    return camera.faults


def _walk(camera: Camera, wanted: Callable[[str], bool]) -> None:
    with camera.window() as page:
        for each in OTHERS:
            if wanted(f"other/{each.name}"):
                _show(camera, page, each, "other")
        if wanted(f"operator/{SIGN_IN.name}"):
            _show(camera, page, SIGN_IN, "operator")
        page.goto(f"{camera.data.server.url}{SIGN_IN.path}")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for(state="attached")
        for each in OPERATOR:
            if wanted(f"operator/{each.name}"):
                _show(camera, page, each, "operator")
    for language, locale in LANGUAGES.items():
        if wanted(f"phone/{language}"):
            camera.data.stop_clock()
            phone_app.photograph(camera, language, locale)


def _show(camera: Camera, page: Any, shown: Shown, folder: str) -> None:
    camera.data.stop_clock()
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(camera.data.server.url + shown.address(camera.data))
    shown.prepare(page)
    camera.take(page, f"{folder}/{shown.name}")


if __name__ == "__main__":
    sys.exit(main())
