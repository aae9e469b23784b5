"""Pages of Message Settings: the form of one number, and changes of several numbers."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort, request

from blueprints.admin import settings_list
from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.settings_csv import SettingsFiles
from blueprints.admin.settings_form import SettingsForm, read
from blueprints.admin.settings_list import SettingsTable
from services.core.errors import EntryRefused, SettingsConflict, SettingsError
from services.core.messages import clean
from services.core.phone_numbers import international
from services.message_settings import MessageSettings
from services.message_settings.edits import Edit, add, edit_all, remove_all
from services.message_settings.form_values import as_texts, problems_by_field, split_list
from services.providers.base import Provider

PATH = "/message-settings"


class SettingsPages:
    """Shows and changes Message Settings."""

    def __init__(
        self, pages: Pages, settings: MessageSettings, providers: Mapping[str, Provider]
    ) -> None:
        self._pages = pages
        self._settings = settings
        self._form = SettingsForm(pages, settings, providers)
        self._table = SettingsTable(pages, settings, self._form)

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/message-settings`` and what is below it."""
        routes.get(PATH)(self.settings)
        SettingsFiles(self._pages, self._settings).add_to(routes)
        routes.get(f"{PATH}/new")(self.settings_new)
        routes.post(f"{PATH}/new")(self.settings_add)
        routes.get(f"{PATH}/<number>")(self.settings_edit)
        routes.post(f"{PATH}/<number>")(self.settings_save)
        routes.post(f"{PATH}/<number>/remove")(self.settings_remove)
        routes.post(f"{PATH}/<number>/enabled")(self.settings_enable)
        routes.post(f"{PATH}/bulk")(self.settings_bulk)

    def settings(self) -> Response:
        """The table of numbers."""
        return self._table.show(request.args)

    def settings_new(self) -> Response:
        """The form of a new number."""
        return self._form.show(self._form.blank() | {"number": request.args.get("number", "")})

    def settings_add(self) -> Response:
        """Add a number."""
        values = read(request.form)
        try:
            entry = add(self._settings, values)
        except EntryRefused as error:
            return self._form.show(request.form, wrong=problems_by_field(error, values))
        except SettingsError as error:
            return self._form.show(request.form, refusal=error.reason)
        self._pages.set_notice(f"{international(entry.number)} was added.")
        return redirect_to("admin.settings")

    def settings_edit(self, number: str) -> Response:
        """The form of a number."""
        self._settings.look()
        generation = self._settings.generation
        entry = self._settings.for_number(number)
        if entry is None:
            abort(HTTPStatus.NOT_FOUND)
        return self._form.show(as_texts(entry), number, generation=generation)

    def settings_save(self, number: str) -> Response:
        """Save a number."""
        values = read(request.form) | {"number": number}
        seen = request.form.get("generation", "")
        try:
            self._settings.put(values, seen)
        except EntryRefused as error:
            return self._form.show(
                request.form, number, wrong=problems_by_field(error, values), generation=seen
            )
        except SettingsConflict:
            return self._form.show(request.form, number, conflict=True)
        except SettingsError as error:
            return self._form.show(request.form, number, refusal=error.reason, generation=seen)
        self._pages.set_notice(f"{international(number)} was saved.")
        return redirect_to("admin.settings")

    def settings_remove(self, number: str) -> Response:
        """Remove a number; its messages stay."""

        def work() -> str:
            self._settings.remove(number, request.form.get("generation", ""))
            return f"{international(number)} was removed. Its messages stay."

        return self._changed(work)

    def settings_enable(self, number: str) -> Response:
        """Enable or disable a number."""

        def work() -> str:
            enabled = request.form.get("enabled") == "yes"
            seen = request.form.get("generation", "")
            edit_all(self._settings, [number], Edit(enabled=enabled), seen)
            return f"{international(number)} is {'enabled' if enabled else 'disabled'} now."

        return self._changed(work, **_view())

    def settings_bulk(self) -> Response:
        """Change or remove the chosen numbers."""
        return self._changed(self._bulk, **_view())

    def _changed(self, work: Callable[[], str], **view: Any) -> Response:
        """Make a change, and show the table with the notice of ``work`` or with the refusal."""
        try:
            notice = work()
        except SettingsError as error:
            return self._table.show(request.args, refusal=error)
        self._pages.set_notice(notice)
        return redirect_to("admin.settings", **view)

    def _bulk(self) -> str:
        """Change or remove the chosen numbers; return what was done. Raises ``SettingsError``."""
        numbers = request.form.getlist("number")
        seen = request.form.get("generation", "")
        many = f"{len(numbers)} numbers were" if len(numbers) > 1 else "1 number was"
        if request.form.get("do") == "remove":
            remove_all(self._settings, numbers, seen)
            return f"{many} removed. Their messages stay."
        values = read(request.form)
        edit = Edit(
            carrier=values["carrier"] or None,
            add_extensions=tuple(values["extensions"]),
            remove_extensions=tuple(split_list(clean(request.form.get("without", "")))),
            enabled={"yes": True, "no": False}.get(request.form.get("enabled", "")),
        )
        if numbers and edit == Edit():
            raise SettingsError(
                "Say what is to change: the carrier, an extension, or whether they are enabled."
            )
        if edit.carrier is not None and edit.carrier not in dict(self._form.carriers()):
            raise SettingsError("This carrier is not configured.", "carrier")
        edit_all(self._settings, numbers, edit, seen)
        return f"{many} changed."


def _view() -> dict[str, Any]:
    return dict(settings_list.view(request.args))
