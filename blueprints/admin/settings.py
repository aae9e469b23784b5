"""Pages of Message Settings: the form of one number, and changes of several numbers."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort, request

from blueprints.admin import settings_csv, settings_list
from blueprints.admin.page import onward
from blueprints.admin.session import house, tell
from blueprints.admin.settings_form import blank, carriers, read, show
from services.core.errors import EntryRefused, SettingsConflict, SettingsError
from services.core.messages import clean
from services.core.phone_numbers import international
from services.gateway import Gateway
from services.message_settings.edits import Edit, add, edit_all, remove_all
from services.message_settings.form_values import as_texts, problems_by_field, split_list

PATH = "/message-settings"


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/message-settings`` and what is below it."""
    settings_list.open_pages(door)
    settings_csv.open_pages(door)

    @door.get(f"{PATH}/new")
    def settings_new() -> Response:
        return show(blank() | {"number": request.args.get("number", "")})

    @door.post(f"{PATH}/new")
    def settings_add() -> Response:
        values = read(request.form)
        try:
            entry = add(gateway.settings, values)
        except EntryRefused as error:
            return show(request.form, wrong=problems_by_field(error, values))
        except SettingsError as error:
            return show(request.form, told=error.reason)
        tell(f"{international(entry.number)} was added.")
        return onward("admin.settings")

    @door.get(f"{PATH}/<number>")
    def settings_edit(number: str) -> Response:
        gateway.settings.look()
        generation = gateway.settings.generation
        entry = gateway.settings.for_number(number)
        if entry is None:
            abort(HTTPStatus.NOT_FOUND)
        return show(as_texts(entry), number, generation=generation)

    @door.post(f"{PATH}/<number>")
    def settings_save(number: str) -> Response:
        values = read(request.form) | {"number": number}
        seen = request.form.get("generation", "")
        try:
            gateway.settings.put(values, seen)
        except EntryRefused as error:
            return show(
                request.form, number, wrong=problems_by_field(error, values), generation=seen
            )
        except SettingsConflict:
            return show(request.form, number, conflict=True)
        except SettingsError as error:
            return show(request.form, number, told=error.reason, generation=seen)
        tell(f"{international(number)} was saved.")
        return onward("admin.settings")

    @door.post(f"{PATH}/<number>/remove")
    def settings_remove(number: str) -> Response:
        try:
            gateway.settings.remove(number, request.form.get("generation", ""))
        except SettingsError as error:
            return settings_list.show(request.args, told=error)
        tell(f"{international(number)} was removed. Its messages stay.")
        return onward("admin.settings")

    @door.post(f"{PATH}/<number>/enabled")
    def settings_enable(number: str) -> Response:
        enabled = request.form.get("enabled") == "yes"
        try:
            edit_all(
                gateway.settings,
                [number],
                Edit(enabled=enabled),
                request.form.get("generation", ""),
            )
        except SettingsError as error:
            return settings_list.show(request.args, told=error)
        tell(f"{international(number)} is {'enabled' if enabled else 'disabled'} now.")
        return onward("admin.settings", **_view())

    @door.post(f"{PATH}/bulk")
    def settings_bulk() -> Response:
        try:
            done = _bulk()
        except SettingsError as error:
            return settings_list.show(request.args, told=error)
        tell(done)
        return onward("admin.settings", **_view())


def _view() -> dict[str, Any]:
    return dict(settings_list.view(request.args))


def _bulk() -> str:
    """Change or remove the chosen numbers; return what was done. Raises ``SettingsError``."""
    numbers = request.form.getlist("number")
    seen = request.form.get("generation", "")
    many = f"{len(numbers)} numbers were" if len(numbers) > 1 else "1 number was"
    if request.form.get("do") == "remove":
        remove_all(house().settings, numbers, seen)
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
    if edit.carrier is not None and edit.carrier not in dict(carriers()):
        raise SettingsError("This carrier is not configured.", "carrier")
    edit_all(house().settings, numbers, edit, seen)
    return f"{many} changed."
