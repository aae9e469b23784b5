"""People pages: the extensions with name, numbers, groups, devices; renaming, pairing."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import page_number
from services.core.authors import named
from services.core.errors import EntryRefused, SettingsConflict, SettingsError
from services.message_settings import MessageSettings
from services.message_settings.extension_edits import name_extension
from services.operations.extension_directory import ExtensionDirectory
from services.push.base import Channel
from services.store import devices
from services.store.database.store import Store

ROWS = 50


class PeoplePages:
    """Lists extensions, shows one, gives it a name."""

    def __init__(
        self,
        pages: Pages,
        store: Store,
        settings: MessageSettings,
        directory: ExtensionDirectory,
        channels: dict[str, Channel],
    ) -> None:
        self._pages = pages
        self._store = store
        self._settings = settings
        self._directory = directory
        self._channels = channels

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/people``."""
        routes.get("/people", endpoint="people")(self.people)
        routes.get("/people/<extension>", endpoint="people_show")(self.person)
        routes.post("/people/<extension>", endpoint="people_name")(self.rename)

    def people(self) -> Response:
        """The table of extensions, page by page."""
        self._settings.look()
        query = request.args.get("q", "")[:100]
        found = self._directory.find(query)
        start = page_number(request.args.get("page")) * ROWS
        return self._pages.render(
            "people.html",
            people=found[start : start + ROWS],
            count=len(found),
            first=start + 1,
            q=query,
            back=_page(query, start // ROWS - 1) if start else None,
            on=_page(query, start // ROWS + 1) if found[start + ROWS :] else None,
            problem=self._settings.problem,
            remedy=self._settings.remedy,
        )

    def person(self, extension: str) -> Response:
        """One extension."""
        self._settings.look()
        return self._show(extension)

    def rename(self, extension: str) -> Response:
        """Give an extension a name."""
        written = request.form.get("name", "")
        try:
            name = name_extension(
                self._settings, extension, written, request.form.get("generation")
            )
        except EntryRefused as error:
            wrong = error.problems.get("name") or error.reason
            return self._show(extension, 422, written=written, wrong=wrong)
        except SettingsConflict as error:
            return self._show(extension, 409, written=written, refusal=error.reason)
        except SettingsError as error:
            return self._show(extension, 422, written=written, refusal=error.reason)
        self._pages.set_notice(
            f"Extension {extension} is {name} now." if name else "The name is removed."
        )
        return redirect_to("admin.people_show", extension=extension)

    def _show(self, extension: str, status: int = 200, **told: Any) -> Response:
        generation = self._settings.generation  # read first: a change after it makes it stale
        known = self._directory.one(extension)
        if known is None:
            abort(404)
        return self._pages.render(
            "person.html",
            status,
            person=known,
            title=named(extension, self._settings.names),
            devices=self._store.read(partial(devices.of, extensions=[extension])),
            channels=self._channels,
            generation=generation,
            problem=self._settings.problem,
            remedy=self._settings.remedy,
            **{"written": known.name, "wrong": "", "refusal": "", **told},
        )


def _page(query: str, number: int) -> str:
    return url_for("admin.people", q=query or None, page=number or None)
