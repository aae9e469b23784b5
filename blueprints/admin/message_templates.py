"""Page of message templates: listed, added, changed, removed."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request

from blueprints.admin.page import Pages, redirect_to
from services.core.errors import EntryRefused, SettingsConflict, SettingsError
from services.core.messages import clean
from services.message_settings import MessageSettings
from services.message_settings.form_values import join_list, split_list
from services.message_settings.template_edits import put_template, remove_templates
from services.message_settings.templates import Template

HERE = "admin.settings_templates"


def add_routes(routes: Blueprint, pages: Pages, settings: MessageSettings) -> None:
    """Add ``/admin/templates``."""

    def page(
        values: Mapping[str, Any],
        status: int = 200,
        *,
        wrong: Mapping[str, str] | None = None,
        refusal: str = "",
    ) -> Response:
        return pages.render(
            "message_templates.html",
            status,
            templates=settings.templates,
            problem=settings.problem,
            remedy=settings.remedy,
            generation=settings.generation,
            values=values,
            wrong=wrong or {},
            refusal=refusal,
        )

    @routes.get("/templates")
    def settings_templates() -> Response:
        settings.look()
        name = request.args.get("edit")
        if name is None:
            return page({})
        known = next((one for one in settings.templates if one.name == name), None)
        return page(_values(known)) if known is not None else abort(404)

    @routes.post("/templates")
    def settings_templates_change() -> Response:
        form = request.form
        seen = form.get("generation")
        values = {name: clean(form.get(name, "")) for name in ("known", "name", "extensions")}
        values["text"] = clean(form.get("text", "").replace("\r\n", "\n"))
        try:
            if form.get("do") == "remove":
                remove_templates(settings, [values["known"]], seen)
                pages.set_notice("The template is removed.")
            else:
                put_template(settings, _template(values), values["known"] or None, seen)
                pages.set_notice("The template is saved.")
        except SettingsConflict as error:
            return page(values, 409, refusal=error.reason)
        except EntryRefused as error:
            return page(values, 422, wrong=error.problems)
        except SettingsError as error:
            return page(values, 422, refusal=error.reason)
        return redirect_to(HERE)


def _values(template: Template) -> dict[str, str]:
    """The texts of the form of a template."""
    return {
        "known": template.name,
        "name": template.name,
        "text": template.text,
        "extensions": join_list(template.extensions),
    }


def _template(values: Mapping[str, str]) -> dict[str, Any]:
    """The template that a form describes, unchecked."""
    return {
        "name": values["name"].strip(),
        "text": values["text"].strip(),
        "extensions": split_list(values["extensions"]),
    }
