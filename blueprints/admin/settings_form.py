"""Form of one entry of Message Settings, generated from the declarations of its fields."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response

from blueprints.admin.page import Pages
from services.core.messages import clean
from services.message_settings import MessageSettings
from services.message_settings.fields import FIELDS, FieldType
from services.message_settings.form_values import as_texts, from_text
from services.providers.base import Provider

FORM_FIELDS = sorted(FIELDS, key=lambda field: list(FieldType).index(field.kind))


class SettingsForm:
    """Shows the form of one number."""

    def __init__(
        self, pages: Pages, settings: MessageSettings, providers: Mapping[str, Provider]
    ) -> None:
        self._pages = pages
        self._settings = settings
        self._providers = providers

    def carriers(self, beside: str = "") -> list[tuple[str, str]]:
        """The configured carriers, as (name, title); ``beside`` is added if it is another one."""
        known = {name: provider.title for name, provider in self._providers.items()}
        if beside and beside not in known:
            known[beside] = f"{beside} (not configured)"
        return list(known.items())

    def blank(self) -> dict[str, str]:
        """The form of a new number."""
        known = self.carriers()
        flags = {field.name: "yes" for field in FIELDS if field.kind is FieldType.FLAG}
        return {"carrier": known[0][0] if len(known) == 1 else "", **flags}

    def show(
        self,
        values: Mapping[str, str],
        number: str = "",
        *,
        wrong: Mapping[str, str] | None = None,
        refusal: str = "",
        conflict: bool = False,
        generation: str = "",
    ) -> Response:
        """The form with its texts, and ``wrong``, the problem of each field.

        With ``conflict`` the entry as it is now is shown beside the texts, and saving the form
        again replaces it.
        """
        settings = self._settings
        settings.look()
        if conflict:
            generation = settings.generation
        now = settings.for_number(number) if conflict else None
        options = self.carriers(values.get("carrier", ""))
        page = {
            "fields": FORM_FIELDS,
            "values": {name: clean(text) for name, text in values.items()},
            "number": number,
            "wrong": wrong or {},
            "refusal": refusal,
            "conflict": conflict,
            "generation": generation,
            "now": as_texts(now) if now else None,
            "carriers": options if values.get("carrier") else [("", "Choose one"), *options],
            "problem": settings.problem,
            "remedy": settings.remedy,
        }
        status = HTTPStatus.CONFLICT if conflict else HTTPStatus.UNPROCESSABLE_ENTITY
        return self._pages.render(
            "settings_form.html", status if wrong or refusal or conflict else 200, **page
        )


def read(form: Mapping[str, str]) -> dict[str, Any]:
    """The entry that a form describes, unchecked."""
    texts = {field.name: clean(form.get(field.name, "")).strip() for field in FIELDS}
    return {
        field.name: texts[field.name] == "yes"  # a box that is not checked is not sent
        if field.kind is FieldType.FLAG
        else from_text(field, texts[field.name])
        for field in FIELDS
    }
