"""Edits of several entries of Message Settings at once: all of them are made, or none."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from services.core.errors import EntryRefused, SettingsError
from services.message_settings.fields import NumberSetting
from services.message_settings.settings import MessageSettings
from services.message_settings.slices import in_slices


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to make to each entry; ``None`` or an empty tuple changes nothing."""

    carrier: str | None = None
    add_extensions: tuple[str, ...] = ()
    remove_extensions: tuple[str, ...] = ()
    enabled: bool | None = None

    def apply_to(self, entry: NumberSetting) -> NumberSetting:
        """A changed copy of an entry, unchecked."""
        extensions = dict.fromkeys((*entry.extensions, *self.add_extensions))
        return replace(
            entry,
            carrier=entry.carrier if self.carrier is None else self.carrier,
            extensions=tuple(e for e in extensions if e not in self.remove_extensions),
            enabled=entry.enabled if self.enabled is None else self.enabled,
        )


def add(settings: MessageSettings, entry: dict[str, Any]) -> NumberSetting:
    """Add an entry and return it. Raises ``EntryRefused``, also if the number has an entry."""
    new = settings.entry(entry)

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        if any(known.number == new.number for known in entries):
            raise EntryRefused({"number": f"{new.number} is in Message Settings already."})
        return [*entries, new]

    settings.change(change)
    return new


def edit_all(
    settings: MessageSettings, numbers: Collection[str], edit: Edit, generation: str | None = None
) -> None:
    """Make the same change to the entries of some numbers.

    Raises ``SettingsError`` if a number has no entry, ``EntryRefused`` if a changed entry is not
    valid, ``SettingsConflict`` if Message Settings were changed since ``generation``.
    """
    chosen = _chosen(settings, numbers)

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        _require_all(chosen, entries)
        return [
            settings.entry(asdict(edit.apply_to(entry))) if entry.number in chosen else entry
            for entry in in_slices(entries)
        ]

    settings.change(change, generation)


def remove_all(
    settings: MessageSettings, numbers: Collection[str], generation: str | None = None
) -> None:
    """Remove the entries of some numbers. Raises what ``edit_all`` raises."""
    chosen = _chosen(settings, numbers)

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        _require_all(chosen, entries)
        return [entry for entry in entries if entry.number not in chosen]

    settings.change(change, generation)


def _chosen(settings: MessageSettings, numbers: Collection[str]) -> dict[str, None]:
    if not numbers:
        raise SettingsError("Choose at least one number.", "number")
    return dict.fromkeys(settings.number(number) for number in numbers)


def _require_all(chosen: Collection[str], entries: list[NumberSetting]) -> None:
    known = {entry.number for entry in entries}
    for number in chosen:
        if number not in known:
            raise SettingsError(
                f"{number} is not in Message Settings. Check how it is written.", "number"
            )
