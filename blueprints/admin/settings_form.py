"""Form of one number of Message Settings, and reading what was typed into it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response

from blueprints.admin.page import Pages
from services.core.messages import clean
from services.message_settings import MessageSettings
from services.message_settings.sheet import COLUMNS
from services.message_settings.typed import parts, texts
from services.providers.base import Provider

LABELS = {
    "carrier": "Carrier",
    "extensions": "Extensions",
    "emails": "E-mails",
    "description": "Description",
    "sender_id": "Sender ID",
    "enabled": "Enabled",
}


class SettingsForm:
    """Shows the form of one number."""

    def __init__(
        self, pages: Pages, settings: MessageSettings, providers: Mapping[str, Provider]
    ) -> None:
        self._pages = pages
        self._settings = settings
        self._providers = providers

    def carriers(self, beside: str = "") -> list[tuple[str, str]]:
        """The carriers that are configured, as (name, title); another one only as ``beside``."""
        known = {name: provider.title for name, provider in self._providers.items()}
        if beside and beside not in known:
            known[beside] = f"{beside} (not configured)"
        return list(known.items())

    def blank(self) -> dict[str, str]:
        """The form of a new number."""
        known = self.carriers()
        return {"carrier": known[0][0] if len(known) == 1 else "", "enabled": "yes"}

    def show(
        self,
        typed: Mapping[str, str],
        number: str = "",
        *,
        wrong: Mapping[str, str] | None = None,
        told: str = "",
        conflict: bool = False,
        generation: str = "",
    ) -> Response:
        """The form with what was typed, and what is wrong with it at each field.

        With ``conflict`` what is there now stands beside what was typed, and saving again means it.
        """
        settings = self._settings
        settings.look()
        if conflict:
            generation = settings.generation
        now = settings.for_number(number) if conflict else None
        options = self.carriers(typed.get("carrier", ""))
        page = {
            "typed": {name: clean(words) for name, words in typed.items()},
            "number": number,
            "wrong": wrong or {},
            "told": told,
            "conflict": conflict,
            "generation": generation,
            "now": texts(now) if now else None,
            "labels": LABELS,
            "carriers": options if typed.get("carrier") else [("", "Choose one"), *options],
            "problem": settings.problem,
            "remedy": settings.remedy,
        }
        status = HTTPStatus.CONFLICT if conflict else HTTPStatus.UNPROCESSABLE_ENTITY
        return self._pages.render(
            "settings_form.html", status if wrong or told or conflict else 200, **page
        )


def read(form: Mapping[str, str]) -> dict[str, Any]:
    """The entry that a form stands for, unchecked."""
    typed = {name: clean(form.get(name, "")).strip() for name in COLUMNS}
    return {
        **typed,
        "extensions": parts(typed["extensions"]),
        "emails": parts(typed["emails"]),
        "sender_id": typed["sender_id"] or None,
        "enabled": typed["enabled"] == "yes",
    }
