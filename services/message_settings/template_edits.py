"""Edits of single message templates, for the page and the command."""

from collections.abc import Collection, Mapping
from typing import Any

from services.core.errors import EntryRefused, SettingsError
from services.message_settings.rules_reader import RuleError
from services.message_settings.settings import MessageSettings


def put_template(
    settings: MessageSettings,
    template: Mapping[str, Any],
    known_as: str | None,
    generation: str | None = None,
) -> None:
    """Replace the template ``known_as``, or add one at the end.

    Raises ``EntryRefused`` with the problem of a field, ``SettingsError`` if there is no such
    template, and what ``MessageSettings.change`` raises.
    """
    templates = _written(settings)
    kept = {name: value for name, value in template.items() if value or name != "extensions"}
    if known_as is None:
        templates.append(kept)
    else:
        templates[_position(templates, known_as)] = kept
    try:
        settings.put_templates(templates, generation)
    except RuleError as error:
        raise _refusal(error, kept) from None


def remove_templates(
    settings: MessageSettings, names: Collection[str], generation: str | None = None
) -> None:
    """Remove templates: all of these, or none. Raises as ``put_template``."""
    templates = _written(settings)
    gone = {_position(templates, name) for name in names}
    left = [one for position, one in enumerate(templates) if position not in gone]
    settings.put_templates(left, generation)


def _refusal(error: RuleError, template: Mapping[str, Any]) -> SettingsError:
    """A mistake at ``templates``, position, field and, in a list, the position of the item."""
    match error.path:
        case (_, _, str(field)):
            return EntryRefused({field: error.reason})
        case (_, _, str(field), int(item)):
            return EntryRefused({field: f"“{template[field][item]}”: {error.reason}"})
    return error


def _written(settings: MessageSettings) -> list[dict[str, Any]]:
    return list(settings.sections.get("templates", ()))


def _position(templates: list[dict[str, Any]], name: str) -> int:
    for position, template in enumerate(templates):
        if template["name"] == name:
            return position
    raise SettingsError(f"There is no template named “{name}”.", "name")
