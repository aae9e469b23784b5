"""Page of rules: the inbound and outbound rules, and what they would do with a text."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request

from blueprints.admin.page import Pages, redirect_to
from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import MessageSettings
from services.message_settings.example_rules import ExampleRule, example_rules, with_example
from services.message_settings.json_lines import line_of_path
from services.message_settings.rules_reader import RuleError
from services.operations.rule_trial import RuleTrial, Trial

FIELDS = ("from", "to", "text", "at")


def add_routes(
    routes: Blueprint, pages: Pages, settings: MessageSettings, trial: RuleTrial
) -> None:
    """Add ``/admin/rules``."""

    def page(
        status: int = 200,
        *,
        written: str | None = None,
        generation: str | None = None,
        wrong: str = "",
        added: ExampleRule | None = None,
    ) -> Response:
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
            generation=settings.generation if generation is None else generation,
            written=_as_text(settings.rule_sections) if written is None else written,
            wrong=wrong,
            examples=example_rules(),
            added=added,
        )

    @routes.get("/rules")
    def settings_rules() -> Response:
        return page()

    @routes.post("/rules")
    def settings_rules_save() -> Response:
        written = request.form.get("rules", "")
        try:
            if "example" in request.form:
                example = _example(request.form["example"])
                number = next((one.number for one in settings.all() if one.enabled), None)
                filled = _as_text(with_example(_parsed(written), example, number))
                seen = request.form.get("generation")
                return page(written=filled, generation=seen, added=example)
            _save(settings, written, request.form.get("generation"))
        except SettingsConflict as error:
            return page(409, written=written, wrong=error.reason)
        except SettingsError as error:
            return page(422, written=written, wrong=str(error))
        pages.set_notice("The rules are saved, and in force.")
        return redirect_to("admin.settings_rules")


def _as_text(sections: Mapping[str, Any]) -> str:
    return json.dumps(sections, indent=2, ensure_ascii=False)


def _example(position: str) -> ExampleRule:
    known = {str(count): example for count, example in enumerate(example_rules())}
    return known[position] if position in known else abort(404)


def _parsed(written: str) -> dict[str, Any]:
    """The object that is written. Raises ``SettingsError`` with the line."""
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
    return sections


def _save(settings: MessageSettings, written: str, generation: str | None) -> None:
    """Save rules as they are written. Raises ``SettingsError`` with the line."""
    sections = _parsed(written)
    try:
        settings.put_sections(sections, generation)
    except RuleError as error:
        line = line_of_path(written, error.path)
        raise SettingsError(f"line {line}: {error}") from None
