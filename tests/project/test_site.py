"""The site of the documentation builds without a warning; its pages lead somewhere.

They load nothing from elsewhere, and their search works without a server.
"""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.project.test_docs import ROOT

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "srcset"}
ADDRESS = re.compile(r"url\(\s*['\"]?(?!data:|#)([^'\")]+)")


class Page(HTMLParser):
    """The anchors and links of a page, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        has = dict(attrs)
        self.anchors.add(has.get("id") or "")
        if tag == "a" and has.get("href"):
            self.links.add(has["href"] or "")
        if tag in LOADED and has.get(LOADED[tag]):
            self.loaded.add(has[LOADED[tag]] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make site`` does."""
    folder = tmp_path_factory.mktemp("site")
    made = re.findall(
        r"-m sphinx (.+?) \\\n.*dist/site\n", (ROOT / "Makefile").read_text(encoding="utf-8")
    )
    assert made, "make site builds in another way"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", *made[0].split()),
            *("--doctree-dir", folder / "parts", ".", folder / "html"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.glob("**/*.html")}


def test_every_link_and_anchor_leads_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (
                anchor and target in pages and anchor not in pages[target].anchors
            ):
                broken.append(f"{path.name}: {link}")
    assert broken == []
    assert len(pages) > 50


def test_every_page_of_the_documentation_is_in_the_navigation(
    site: Path, pages: dict[Path, Page]
) -> None:
    start = pages[site / "docs" / "README.html"]
    for page in (ROOT / "docs").glob("**/*.md"):
        address = str(page.relative_to(ROOT / "docs").with_suffix(".html"))
        assert address in start.links or address == "README.html", address


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for address in page.loaded - {"#"}:
            assert not urlsplit(address).netloc, f"{path.name} loads {address}"
            assert (path.parent / unquote(urlsplit(address).path)).is_file(), address
    styles = list(site.glob("_static/**/*.css"))
    assert styles
    for style in styles:
        for address in ADDRESS.findall(style.read_text(encoding="utf-8")):
            assert not urlsplit(address).netloc, f"{style.name} loads {address}"


def test_the_search_needs_no_server(site: Path, pages: dict[Path, Page]) -> None:
    assert any("searchindex.js" in address for address in pages[site / "search.html"].loaded)
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(")
    assert "docs/first-hour" in index
