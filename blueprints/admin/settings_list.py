"""Page with the table of Message Settings: search, sorting and pagination by key."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, request, url_for

from blueprints.admin.page import Pages
from blueprints.admin.settings_form import SettingsForm
from services.core.errors import SettingsConflict, SettingsError
from services.core.messages import clean
from services.message_settings import MessageSettings, NumberSetting
from services.message_settings.fields import FIELDS
from services.message_settings.form_values import as_text
from services.message_settings.slices import CHEAP_SLICE, in_slices

ROWS = 50
SORTS = ("number", "description", "carrier", "extensions", "emails", "enabled")
BY_NAME = {field.name: field for field in FIELDS}
VIEW = ("q", "carrier", "sort", "down", "after", "before")
Key = tuple[str, str]


class SettingsTable:
    """Shows the table of numbers."""

    def __init__(self, pages: Pages, settings: MessageSettings, form: SettingsForm) -> None:
        self._pages = pages
        self._settings = settings
        self._form = form

    def show(self, asked: Mapping[str, str], refusal: SettingsError | None = None) -> Response:
        """The page with the table.

        ``refusal`` is the error of a change that was not made; the selected numbers stay selected.
        """
        asked = view(asked)
        settings = self._settings
        settings.look()
        generation = settings.generation  # read first: a change after it is found as a conflict
        entries = settings.all()
        listed = _listed(settings, asked)
        kept = {name: asked[name] for name in VIEW[:4] if name in asked}
        configured = dict(self._form.carriers())
        page = {
            **listed,
            "kept": kept,
            "asked": asked,
            "sorts": {name: _sort_link(kept, name) for name in SORTS},
            "sorted_by": _sort(asked),
            "total": len(entries),
            "generation": generation,
            "configured": configured,
            "carriers": self._form.carriers(),
            "used_carriers": sorted({entry.carrier for entry in entries}),
            "strays": Counter(e.carrier for e in entries if e.carrier not in configured),
            "problem": settings.problem,
            "remedy": settings.remedy,
            "refusal": refusal,
            "chosen": set(request.form.getlist("number")),
            "form": {name: clean(value) for name, value in request.form.items()},
        }
        status = HTTPStatus.OK
        if refusal is not None:
            clash = isinstance(refusal, SettingsConflict)
            status = HTTPStatus.CONFLICT if clash else HTTPStatus.UNPROCESSABLE_ENTITY
        return self._pages.render("settings.html", status, **page)


def view(asked: Mapping[str, str]) -> dict[str, str]:
    """The query parameters that select what is listed, without any others."""
    return {name: clean(asked[name]) for name in VIEW if asked.get(name)}


def _listed(settings: MessageSettings, asked: Mapping[str, str]) -> dict[str, Any]:
    """One page of rows, the count of all rows, the links to the previous and the next page."""
    name, down = _sort(asked), bool(asked.get("down"))
    carrier = asked.get("carrier", "")
    wanted = settings.find(asked.get("q", ""))
    wanted = [entry for entry in wanted if not carrier or entry.carrier == carrier]
    keyed = sorted((_key(entry, name), entry) for entry in in_slices(wanted, CHEAP_SLICE))
    if down:
        keyed.reverse()
    keys = [key for key, _ in keyed]
    start = 0
    if asked.get("after"):
        start = _place(keys, _cursor(asked["after"]), down, past=True)
    elif asked.get("before"):
        start = max(0, _place(keys, _cursor(asked["before"]), down, past=False) - ROWS)
    rows = keyed[start : start + ROWS]
    here = {name: asked[name] for name in VIEW[:4] if name in asked}
    more = start + ROWS < len(keyed)
    return {
        "rows": [entry for _, entry in rows],
        "count": len(keyed),
        "first": start + 1,
        "back": _page_link(here, before=rows[0][0]) if rows and start else None,
        "on": _page_link(here, after=rows[-1][0]) if rows and more else None,
    }


def _sort(asked: Mapping[str, str]) -> str:
    name = asked.get("sort", "")
    return name if name in SORTS else "number"


def _key(entry: NumberSetting, name: str) -> Key:
    return as_text(BY_NAME[name], entry).casefold()[:200], entry.number


def _place(keys: list[Key], key: Key, down: bool, *, past: bool) -> int:
    """The position at which a key is or would be inserted; with ``past`` the one after it."""
    if not down:
        return bisect_right(keys, key) if past else bisect_left(keys, key)
    rising = keys[::-1]
    return len(keys) - (bisect_left(rising, key) if past else bisect_right(rising, key))


def _cursor(written: str) -> Key:
    number, _, value = written.partition(" ")
    return value, number


def _page_link(kept: Mapping[str, Any], **at: Key) -> str:
    ends: dict[str, Any] = {name: f"{number} {value}" for name, (value, number) in at.items()}
    return url_for("admin.settings", **kept, **ends)


def _sort_link(kept: Mapping[str, Any], name: str) -> str:
    turned: dict[str, Any] = (
        {"down": "1"} if kept.get("sort", "number") == name and not kept.get("down") else {}
    )
    rest: dict[str, Any] = {
        key: value for key, value in kept.items() if key not in ("sort", "down")
    }
    return url_for("admin.settings", **rest, sort=name, **turned)
