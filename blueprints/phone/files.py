"""Files of the phone app: its sources in ``static``, and what is built of them in ``built``.

Browsers get the built files: one script, one style sheet, and the logo. Where these were made of
other sources than those that are here, because somebody works on them, browsers get the sources.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent
STATIC, BUILT = PACKAGE / "static", PACKAGE / "built"
STYLES = ("base.css", "list.css", "talk.css", "composer.css", "sheets.css")
ENTRY = "start.js"
WORKER = "worker.js"  # is served with a head of its own, and not built
LOGO = "icon.svg"


@dataclass(frozen=True, slots=True)
class AppFiles:
    """What the page loads, relative to ``/phone/``."""

    script: str
    styles: tuple[str, ...]
    logo: str
    kept: tuple[str, ...]  # by the service worker


def digest_of_sources(static: Path = STATIC) -> str:
    """A digest of all that is built: scripts, styles and logo, their names, and their order."""
    digest = hashlib.sha256(repr((STYLES, ENTRY)).encode())
    for path in sorted((*static.glob("*.js"), *static.glob("*.css"), static / LOGO)):
        if path.name != WORKER:
            digest.update(f"{path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def app_files(static: Path = STATIC, built: Path = BUILT) -> AppFiles:
    """The built files if they are of these sources, else the sources."""
    try:
        made = json.loads((built / "built.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        made = {}
    others = sorted(path.name for path in static.glob("*.json"))
    if made.get("sources") == digest_of_sources(static):
        script, style, logo = (f"built/{made[kind]}" for kind in ("script", "style", "logo"))
        return AppFiles(script, (style,), logo, (script, style, logo, *others))
    scripts = sorted(path.name for path in static.glob("*.js") if path.name != WORKER)
    return AppFiles(ENTRY, STYLES, LOGO, (*scripts, *STYLES, LOGO, *others))
