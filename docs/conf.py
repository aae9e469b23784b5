"""The site of the documentation: ``make site``. Its pages and their order are those of README.md.

The folder of the sources is the whole repository, so that links such as ``../CONTRIBUTING.md`` work
on the site as they do at GitHub.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "Textbridge"
html_title = "Textbridge"
html_theme = "furo"
html_theme_options: dict[str, object] = {"footer_icons": []}
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # it would fetch the pages, which needs a server
html_static_path: list[str] = []
extensions = ["myst_parser"]
root_doc = "docs/README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**.md"]
myst_heading_anchors = 6
# Blocks with “…” are no complete JSON, and diagrams in Mermaid are shown as their text.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]

SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
PAGE = re.compile(r"^- \[[^]]+\]\(([^)]+)\.md\)", re.MULTILINE)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
HOME = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/README.html">\n'


def navigation(index: str, folder: Path) -> str:
    """The navigation of the site in MyST: the sections and pages of ``docs/README.md``.

    A page is listed by its title without what stands behind a colon.
    """
    parts = []
    for caption, content in SECTION.findall(index):
        lines = []
        for page in PAGE.findall(content):
            path = folder / f"{page}.md"
            found = TITLE.search(path.read_text(encoding="utf-8")) if path.is_file() else None
            title = found[1].split(":")[0].replace("`", "") if found else page
            lines.append(f"{title} </{path.resolve().relative_to(folder.parent).with_suffix('')}>")
        body = "\n".join(lines)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{body}\n```\n")
    return "\n".join(parts)


def _add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        folder = Path(app.srcdir) / "docs"
        source[0] += "\n" + navigation(source[0], folder.resolve())


def _add_home(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        (Path(app.outdir) / "index.html").write_text(HOME, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect the functions of this file with the build."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _add_home)
