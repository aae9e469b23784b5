"""CSV export and import of Message Settings; an import is previewed before it is applied."""

from contextlib import closing
from dataclasses import replace
from http import HTTPStatus

from flask import Blueprint, Response, request

from blueprints.admin.formats import counted
from blueprints.admin.packed_file import packed, unpacked
from blueprints.admin.page import Pages, redirect_to
from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import MessageSettings, csv_format
from services.message_settings.csv_import import ImportPlan, apply_import, plan_import

SHOWN = 200  # lines of a preview


class SettingsFiles:
    """Exports and imports Message Settings as CSV."""

    def __init__(self, pages: Pages, settings: MessageSettings) -> None:
        self._pages = pages
        self._settings = settings

    def add_to(self, routes: Blueprint) -> None:
        """Add the export and the import."""
        routes.get("/message-settings.csv")(self.settings_export)
        routes.get("/message-settings/import")(self.settings_import)
        routes.post("/message-settings/import")(self.settings_preview)
        routes.post("/message-settings/import/apply")(self.settings_apply)

    def settings_export(self) -> Response:
        """All numbers as CSV."""
        self._settings.look()
        answer = Response(csv_format.write_csv(self._settings.all()), content_type="text/csv")
        answer.headers["Content-Disposition"] = 'attachment; filename="message-settings.csv"'
        return answer

    def settings_import(self) -> Response:
        """The form for a file."""
        return self._ask()

    def settings_preview(self) -> Response:
        """What a file would change."""
        file = request.files.get("file")
        if file is None or not file.filename:
            return self._ask("Choose a file first.")
        with closing(file):
            content = file.stream.read(csv_format.MOST_BYTES + 1)
        try:
            return self._preview(content)
        except SettingsError as error:
            return self._ask(error.reason)

    def settings_apply(self) -> Response:
        """Import the file of the preview."""
        content = b""
        try:
            content = unpacked(request.form.get("sheet", ""), csv_format.MOST_BYTES) or b""
            if not content:
                raise SettingsError("The upload was incomplete. Choose the file again.")
            planned = plan_import(self._settings, content)
            seen = request.form.get("generation", "")
            apply_import(self._settings, replace(planned, generation=seen))
        except SettingsConflict:
            return self._preview(content, changed=True)
        except SettingsError as error:
            return self._ask(error.reason)
        self._pages.set_notice(f"Imported: {_summary(planned)}.")
        return redirect_to("admin.settings")

    def _ask(self, wrong: str = "") -> Response:
        settings = self._settings
        settings.look()
        page = {"wrong": wrong, "columns": csv_format.COLUMNS, "problem": settings.problem}
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        return self._pages.render("settings_import.html", status, **page, remedy=settings.remedy)

    def _preview(self, content: bytes, *, changed: bool = False) -> Response:
        """The page with what the file would change. Raises ``SettingsError``."""
        planned = plan_import(self._settings, content)
        sheet = packed(content)
        if sheet is None:
            raise SettingsError("The file is too large to look at it first. Import it in parts.")
        counts = planned.counts
        lines = [line for line in planned.lines if line.outcome != "unchanged"]
        lines.sort(key=lambda line: line.outcome != "refused")
        return self._pages.render(
            "settings_preview.html",
            HTTPStatus.CONFLICT if changed else HTTPStatus.OK,
            planned=planned,
            counts=counts,
            lines=lines[:SHOWN],
            left=len(lines) - SHOWN,
            sheet=sheet,
            changed=changed,
            columns=csv_format.COLUMNS,
            problem=self._settings.problem,
            remedy=self._settings.remedy,
        )


def _summary(planned: ImportPlan) -> str:
    counts = planned.counts
    return f"{counted(counts['added'], 'number')} added, {counts['changed']:,} changed"
