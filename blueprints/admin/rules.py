"""Page of rules: the inbound and outbound rules, and what they would do with a text."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from flask import Blueprint, Response, abort, request

from blueprints.admin.page import Pages, redirect_to
from services.core.calendar_file import MOST_BYTES
from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import MessageSettings
from services.message_settings.example_rules import ExampleRule, example_rules, with_example
from services.message_settings.holidays import HolidayPlan, plan_holidays
from services.message_settings.json_lines import line_of_path
from services.message_settings.rules_reader import RuleError
from services.operations.rule_trial import RuleTrial, Trial
from services.operations.rule_warnings import RuleWarnings

FIELDS = ("from", "to", "text", "at")


def add_routes(
    routes: Blueprint,
    pages: Pages,
    settings: MessageSettings,
    trial: RuleTrial,
    warnings: RuleWarnings,
) -> None:
    """Add ``/admin/rules``."""
    RulesPage(pages, settings, trial, warnings).add_to(routes)


class RulesPage:
    """Shows and tries the rules, and edits them with hours, holidays and groups."""

    def __init__(
        self, pages: Pages, settings: MessageSettings, trial: RuleTrial, warnings: RuleWarnings
    ) -> None:
        self._warnings = warnings
        self._pages = pages
        self._settings = settings
        self._trial = trial

    def add_to(self, routes: Blueprint) -> None:
        """Add the page and its forms."""
        routes.get("/rules")(self.settings_rules)
        routes.post("/rules")(self.settings_rules_save)
        routes.post("/rules/holidays")(self.settings_holidays)

    def settings_rules(self) -> Response:
        """The rules, and the result of a test."""
        return self._page()

    def settings_rules_save(self) -> Response:
        """Save the rules as they are written, or add an example to them, not saved yet."""
        written, seen = request.form.get("rules", ""), request.form.get("generation")
        try:
            if "example" in request.form:
                return self._with_example(written, seen, _example(request.form["example"]))
            _save(self._settings, written, seen)
        except SettingsConflict as error:
            return self._page(409, written=written, wrong=error.reason)
        except SettingsError as error:
            return self._page(422, written=written, wrong=str(error))
        self._pages.set_notice("The rules are saved, and in force.")
        return redirect_to("admin.settings_rules")

    def settings_holidays(self) -> Response:
        """The rules with the holidays of a calendar file, not saved yet."""
        file = request.files.get("calendar")
        if file is None or not file.filename:
            return self._page(422, wrong_file="Choose a file first.")
        with closing(file):
            content = file.stream.read(MOST_BYTES + 1)
        try:
            plan = plan_holidays(self._settings, request.form.get("hours", ""), content)
        except SettingsError as error:
            return self._page(422, wrong_file=error.reason)
        return self._page(
            written=_as_text(plan.sections), generation=plan.generation, holidays=plan
        )

    def _with_example(self, written: str, generation: str | None, example: ExampleRule) -> Response:
        """The page with an example below what is written. Raises ``SettingsError``."""
        number = next((one.number for one in self._settings.all() if one.enabled), None)
        filled = _as_text(with_example(_parsed(written), example, number))
        return self._page(written=filled, generation=generation, added=example)

    def _page(
        self,
        status: int = 200,
        *,
        written: str | None = None,
        generation: str | None = None,
        wrong: str = "",
        added: ExampleRule | None = None,
        holidays: HolidayPlan | None = None,
        wrong_file: str = "",
    ) -> Response:
        settings = self._settings
        asked = {name: request.args.get(name, "")[:2000] for name in FIELDS}
        tried: Trial | None = None
        problems: dict[str, str] = {}
        if asked["from"] or asked["to"]:
            try:
                tried = self._trial.run(
                    written_sender=asked["from"],
                    to=asked["to"],
                    text=asked["text"],
                    at=asked["at"],
                )
            except SettingsError as error:
                problems[error.field] = error.reason
        return self._pages.render(
            "rules.html",
            status,
            rules=settings.rules,
            problem=settings.problem,
            warnings=self._warnings.all(),
            asked=asked,
            tried=tried,
            problems=problems,
            generation=settings.generation if generation is None else generation,
            hours_names=[(name, name) for name in settings.rules.hours],
            holidays=holidays,
            wrong_file=wrong_file,
            written=_as_text(settings.rule_sections) if written is None else written,
            wrong=wrong,
            examples=example_rules(),
            added=added,
        )


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
