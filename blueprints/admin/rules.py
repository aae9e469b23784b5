"""Page of rules: the inbound and outbound rules, and what they would do with a text."""

import json

from flask import Blueprint, Response, request

from blueprints.admin.page import Pages, redirect_to
from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import MessageSettings
from services.message_settings.json_lines import line_of_path
from services.message_settings.rules_reader import RuleError
from services.operations.rule_trial import RuleTrial, Trial

FIELDS = ("from", "to", "text", "at")


def add_routes(
    routes: Blueprint, pages: Pages, settings: MessageSettings, trial: RuleTrial
) -> None:
    """Add ``/admin/rules``."""

    def page(status: int = 200, *, written: str | None = None, wrong: str = "") -> Response:
        asked = {name: request.args.get(name, "")[:2000] for name in FIELDS}
        tried: Trial | None = None
        problems: dict[str, str] = {}
        if asked["from"] or asked["to"]:
            try:
                tried = trial.run(
                    written_sender=asked["from"],
                    to=asked["to"],
                    text=asked["text"],
                    at=asked["at"],
                )
            except SettingsError as error:
                problems[error.field] = error.reason
        return pages.render(
            "rules.html",
            status,
            rules=settings.rules,
            problem=settings.problem,
            warnings=trial.warnings(),
            asked=asked,
            tried=tried,
            problems=problems,
            generation=settings.generation,
            written=_as_text(settings) if written is None else written,
            wrong=wrong,
        )

    @routes.get("/rules")
    def settings_rules() -> Response:
        return page()

    @routes.post("/rules")
    def settings_rules_save() -> Response:
        written = request.form.get("rules", "")
        try:
            _save(settings, written, request.form.get("generation"))
        except SettingsConflict as error:
            return page(409, written=written, wrong=error.reason)
        except SettingsError as error:
            return page(422, written=written, wrong=str(error))
        pages.set_notice("The rules are saved, and in force.")
        return redirect_to("admin.settings_rules")


def _as_text(settings: MessageSettings) -> str:
    return json.dumps(settings.rule_sections, indent=2, ensure_ascii=False)


def _save(settings: MessageSettings, written: str, generation: str | None) -> None:
    """Save rules as they are written. Raises ``SettingsError`` with the line."""
    try:
        sections = json.loads(written)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})."
        ) from None
    except (ValueError, RecursionError):
        raise SettingsError("This is not JSON that can be read.") from None
    if not isinstance(sections, dict):
        raise SettingsError("Write an object: { … }.")
    try:
        settings.put_sections(sections, generation)
    except RuleError as error:
        line = line_of_path(written, error.path)
        raise SettingsError(f"line {line}: {error}") from None
