"""Page of rules: the inbound and outbound rules, and what they would do with a text."""

from flask import Blueprint, Response, request

from blueprints.admin.page import Pages
from services.core.errors import SettingsError
from services.message_settings import MessageSettings
from services.operations.rule_trial import RuleTrial, Trial

FIELDS = ("from", "to", "text", "at")


def add_routes(
    routes: Blueprint, pages: Pages, settings: MessageSettings, trial: RuleTrial
) -> None:
    """Add ``/admin/rules``."""

    @routes.get("/rules")
    def settings_rules() -> Response:
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
            rules=settings.rules,
            problem=settings.problem,
            warnings=trial.warnings(),
            asked=asked,
            tried=tried,
            problems=problems,
        )
