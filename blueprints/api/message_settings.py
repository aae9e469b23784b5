"""Message Settings by REST for the operator's scripts: list, read, put and remove entries."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import structlog

from blueprints.api.auth import Auth
from blueprints.api.declare import Resource, call, complain
from blueprints.api.schemas.message_settings import (
    EntryListSchema,
    EntrySchema,
    EntryToldSchema,
    ExtensionNameSchema,
    IfMatchHeaders,
    NamedExtensionListSchema,
    NamedExtensionSchema,
    RulesSavedSchema,
    RulesSchema,
    RulesToldSchema,
    SettingsQuery,
)
from blueprints.api.schemas.templates import TemplatesSchema, TemplatesToldSchema
from services.core.errors import (
    EntryRefused,
    RequestRefused,
    SettingsConflict,
    SettingsError,
    StorageUnwell,
)
from services.message_settings import MessageSettings
from services.message_settings.document import RULE_SECTIONS
from services.message_settings.extension_edits import name_extension
from services.message_settings.rules_reader import RuleError
from services.message_settings.slices import in_slices
from services.operations.rule_warnings import RuleWarnings

log = structlog.get_logger()
RETRY_SECONDS = 5.0


class Settings(Resource):
    """Message Settings for scripts of the operator."""

    name = "message-settings"
    description = "Which number belongs to which carrier, extensions and e-mails"

    def __init__(self, settings: MessageSettings, warnings: RuleWarnings) -> None:
        self._settings = settings
        self._warnings = warnings

    @call(
        "GET",
        "/message-settings",
        Auth.OPERATOR,
        query=SettingsQuery,
        answers={200: EntryListSchema},
    )
    def list_number_settings(
        self, asked: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """All numbers, or those with some words in them. ``ETag`` is the state of all of them."""
        settings = self._fresh()
        tag = _tag(settings)  # read first: a change after it makes the tag stale
        items = [asdict(entry) for entry in in_slices(settings.find(asked["q"]))]
        answer = {"items": items, "problem": settings.problem}
        return answer, 200, tag

    @call(
        "GET",
        "/message-settings/rules",
        Auth.OPERATOR,
        answers={200: RulesToldSchema},
    )
    def get_rules(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Hours, groups and rules, as they stand in Message Settings."""
        settings = self._fresh()
        tag = _tag(settings)
        return {name: settings.sections.get(name) for name in RULE_SECTIONS}, 200, tag

    @call(
        "PUT",
        "/message-settings/rules",
        Auth.OPERATOR,
        headers=IfMatchHeaders,
        json=RulesSchema,
        answers={200: RulesSavedSchema},
        refuses=[409, 412],
    )
    def replace_rules(
        self, seen: dict[str, Any], asked: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Replace hours, groups and rules, all of them: what is left out is empty from now on.

        Names of extensions stay, unless `extensions` is sent.
        """
        settings = self._fresh()
        with _refusals():
            sections = {name: part for name, part in asked.items() if part is not None}
            if "extensions" not in asked and "extensions" in settings.sections:
                sections["extensions"] = settings.sections["extensions"]
            try:
                settings.put_sections(sections, _expected(seen, False))
            except RuleError as error:
                complain({error.field: [error.reason]})
        rules = {name: settings.sections.get(name) for name in RULE_SECTIONS}
        return rules | {"warnings": self._warnings.all()}, 200, _tag(settings)

    @call(
        "GET",
        "/message-settings/extensions",
        Auth.OPERATOR,
        answers={200: NamedExtensionListSchema},
    )
    def list_extension_names(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """The extensions that have a name, in the order of the document."""
        settings = self._fresh()
        tag = _tag(settings)
        items = [{"extension": one, "name": name} for one, name in settings.names.items() if name]
        return {"items": items}, 200, tag

    @call(
        "PUT",
        "/message-settings/extensions/<extension>",
        Auth.OPERATOR,
        headers=IfMatchHeaders,
        json=ExtensionNameSchema,
        answers={200: NamedExtensionSchema},
        refuses=[409, 412],
    )
    def put_extension_name(
        self, seen: dict[str, Any], asked: dict[str, Any], extension: str
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Give an extension the name of its person; an empty name takes it away."""
        settings = self._fresh()
        with _refusals():
            name = name_extension(settings, extension, asked["name"], _expected(seen, False))
        return {"extension": extension, "name": name}, 200, _tag(settings)

    @call(
        "GET",
        "/message-settings/templates",
        Auth.OPERATOR,
        answers={200: TemplatesToldSchema},
    )
    def get_template_settings(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """The message templates, as they stand in Message Settings."""
        settings = self._fresh()
        tag = _tag(settings)
        return {"templates": settings.sections.get("templates", [])}, 200, tag

    @call(
        "PUT",
        "/message-settings/templates",
        Auth.OPERATOR,
        headers=IfMatchHeaders,
        json=TemplatesSchema,
        answers={200: TemplatesToldSchema},
        refuses=[409, 412],
    )
    def replace_template_settings(
        self, seen: dict[str, Any], asked: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Replace the message templates, all of them."""
        settings = self._fresh()
        with _refusals():
            try:
                settings.put_templates(asked["templates"], _expected(seen, False))
            except RuleError as error:
                complain({error.field: [error.reason]})
        return {"templates": settings.sections.get("templates", [])}, 200, _tag(settings)

    @call(
        "GET",
        "/message-settings/<number>",
        Auth.OPERATOR,
        answers={200: EntryToldSchema},
        refuses=[404, 422],
    )
    def get_number_settings(self, number: str) -> tuple[dict[str, Any], int, dict[str, str]]:
        """One number, written any usual way."""
        settings = self._fresh()
        tag = _tag(settings)
        with _refusals():
            entry = settings.for_number(settings.number(number))
        if entry is None:
            raise _not_there()
        return asdict(entry), 200, tag

    @call(
        "PUT",
        "/message-settings/<number>",
        Auth.OPERATOR,
        headers=IfMatchHeaders,
        json=EntrySchema,
        answers={200: EntryToldSchema, 201: EntryToldSchema},
        refuses=[404, 409, 412],
    )
    def put_number_settings(
        self, seen: dict[str, Any], asked: dict[str, Any], number: str
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Add a number, or replace its entry; with ``If-Match`` only if nothing has changed."""
        settings = self._fresh()
        with _refusals():
            plain = settings.number(number)
            if "number" in asked and settings.number(asked["number"]) != plain:
                complain({"number": ["It is another one than in the address."]})
            is_new = settings.for_number(plain) is None
            entry = settings.put(asked | {"number": plain}, _expected(seen, is_new))
        return asdict(entry), 201 if is_new else 200, _tag(settings)

    @call(
        "DELETE",
        "/message-settings/<number>",
        Auth.OPERATOR,
        headers=IfMatchHeaders,
        answers={204: None},
        refuses=[404, 409, 412],
    )
    def delete_number_settings(
        self, seen: dict[str, Any], number: str
    ) -> tuple[str, int, dict[str, str]]:
        """Remove a number. Its messages stay; new ones to it are kept as unassigned."""
        settings = self._fresh()
        with _refusals():
            plain = settings.number(number)
            if settings.for_number(plain) is None:
                raise _not_there()
            settings.remove(plain, _expected(seen, False))
        return "", 204, _tag(settings)

    def _fresh(self) -> MessageSettings:
        settings = self._settings
        settings.look()
        return settings


def _tag(settings: MessageSettings) -> dict[str, str]:
    return {"ETag": f'"{settings.generation}"'}


def _expected(seen: dict[str, Any], is_new: bool) -> str | None:
    """The state that the caller saw (RFC 9110 §13.1.1), if it says so."""
    tag = seen.get("tag")
    if tag == "*" and is_new:
        raise RequestRefused("stale", "This number is not there (any more).", status=412)
    return None if tag in (None, "*") else str(tag).strip('"')


def _not_there() -> RequestRefused:
    return RequestRefused("not_found", "This number is not in Message Settings.", status=404)


@contextmanager
def _refusals() -> Iterator[None]:
    """Answer what Message Settings refuse."""
    try:
        yield
    except EntryRefused as error:
        complain({field: [reason] for field, reason in error.problems.items()})
    except SettingsConflict:
        raise RequestRefused(
            "stale", "Message Settings were changed meanwhile. Read them again.", status=412
        ) from None
    except RuleError as error:
        raise RequestRefused("rules_refuse", str(error), status=409) from None
    except SettingsError as error:
        if error.field:
            raise RequestRefused("invalid_number", error.reason, field=error.field) from None
        raise RequestRefused("settings_broken", error.reason, status=409) from None
    except StorageUnwell as error:
        log.error("storage unwell", reason=str(error))
        raise RequestRefused(
            "storage_unwell", str(error), status=503, retry_after=RETRY_SECONDS
        ) from None
