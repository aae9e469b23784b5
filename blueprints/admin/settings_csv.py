"""CSV export and import of Message Settings; an import is previewed before it is applied."""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from contextlib import closing, suppress
from dataclasses import replace
from http import HTTPStatus

from flask import Blueprint, Response, request

from blueprints.admin.formats import counted
from blueprints.admin.page import onward, render
from blueprints.admin.session import house, tell
from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import csv_format
from services.message_settings.csv_import import ImportPlan, apply_import, plan_import

SHOWN = 200  # lines of a preview
MOST_PACKED = 450_000  # characters; Flask refuses a form with more than 500 kB of texts


def open_pages(door: Blueprint) -> None:
    """Open ``/admin/message-settings.csv`` and ``/admin/message-settings/import``."""

    @door.get("/message-settings.csv")
    def settings_export() -> Response:
        house().settings.look()
        answer = Response(csv_format.write_csv(house().settings.all()), content_type="text/csv")
        answer.headers["Content-Disposition"] = 'attachment; filename="message-settings.csv"'
        return answer

    @door.get("/message-settings/import")
    def settings_import() -> Response:
        return _ask()

    @door.post("/message-settings/import")
    def settings_preview() -> Response:
        file = request.files.get("file")
        if file is None or not file.filename:
            return _ask("Choose a file first.")
        with closing(file):
            content = file.stream.read(csv_format.MOST_BYTES + 1)
        try:
            return _preview(content)
        except SettingsError as error:
            return _ask(error.reason)

    @door.post("/message-settings/import/apply")
    def settings_apply() -> Response:
        content = b""
        try:
            content = _unpacked(request.form.get("sheet", ""))
            planned = plan_import(house().settings, content)
            seen = request.form.get("generation", "")
            apply_import(house().settings, replace(planned, generation=seen))
        except SettingsConflict:
            return _preview(content, changed=True)
        except SettingsError as error:
            return _ask(error.reason)
        tell(f"Imported: {_summary(planned)}.")
        return onward("admin.settings")


def _ask(wrong: str = "") -> Response:
    settings = house().settings
    settings.look()
    page = {"wrong": wrong, "columns": csv_format.COLUMNS, "problem": settings.problem}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return render("settings_import.html", status, **page, remedy=settings.remedy)


def _preview(content: bytes, *, changed: bool = False) -> Response:
    """The page with what the file would change. Raises ``SettingsError``."""
    planned = plan_import(house().settings, content)
    packed = urlsafe_b64encode(zlib.compress(content)).decode()
    if len(packed) > MOST_PACKED:
        raise SettingsError("The file is too large to look at it first. Import it in parts.")
    counts = planned.counts
    lines = [line for line in planned.lines if line.outcome != "unchanged"]
    lines.sort(key=lambda line: line.outcome != "refused")
    return render(
        "settings_preview.html",
        HTTPStatus.CONFLICT if changed else HTTPStatus.OK,
        planned=planned,
        counts=counts,
        lines=lines[:SHOWN],
        left=len(lines) - SHOWN,
        sheet=packed,
        changed=changed,
        columns=csv_format.COLUMNS,
        problem=house().settings.problem,
        remedy=house().settings.remedy,
    )


def _unpacked(packed: str) -> bytes:
    stream = zlib.decompressobj()
    with suppress(Error, zlib.error):
        content = stream.decompress(urlsafe_b64decode(packed.encode()), csv_format.MOST_BYTES + 1)
        if stream.eof:
            return content
    raise SettingsError("The file did not come back whole. Choose it again.")


def _summary(planned: ImportPlan) -> str:
    counts = planned.counts
    return f"{counted(counts['added'], 'number')} added, {counts['changed']:,} changed"
