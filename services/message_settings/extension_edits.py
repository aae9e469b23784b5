"""Edits of what Message Settings know of single extensions: their names."""

from collections.abc import Mapping
from typing import Any

from services.core.errors import EntryRefused
from services.core.messages import clean
from services.core.phone_numbers import clean_name
from services.message_settings.fields import extension as checked_extension
from services.message_settings.rules_reader import RuleError
from services.message_settings.settings import MessageSettings


def name_extension(
    settings: MessageSettings, extension: str, name: str, generation: str | None = None
) -> str:
    """Give an extension a name, another one, or with an empty text none; returns it as it is kept.

    Raises ``EntryRefused`` with the problem of ``extension`` or ``name``, and what
    ``MessageSettings.change`` raises.
    """
    typed = clean(name).strip()
    kept = clean_name(typed) or typed
    try:
        checked_extension(extension)
    except ValueError as error:
        raise EntryRefused({"extension": f"{error}."}) from None

    def change(known: Mapping[str, Any]) -> dict[str, Any]:
        others = {one: about for one, about in known.items() if one != extension}
        about = {key: value for key, value in known.get(extension, {}).items() if key != "name"}
        if kept:
            about["name"] = kept
        return {**others, extension: about} if about else others

    try:
        settings.change_extensions(change, generation)
    except RuleError as error:
        if error.path[:2] == ("extensions", extension):
            raise EntryRefused({"name": error.reason}) from None
        raise
    return kept
