"""Changes of several numbers at once: all of them are made, or none."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from services.core.errors import EntryRefused, SettingsError
from services.message_settings import MessageSettings
from services.message_settings.document import NumberSetting


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be different about each number; ``None`` leaves a thing as it is."""

    carrier: str | None = None
    add_extensions: tuple[str, ...] = ()
    remove_extensions: tuple[str, ...] = ()
    enabled: bool | None = None

    def of(self, entry: NumberSetting) -> NumberSetting:
        """An entry with this difference; whether it can be kept is not checked."""
        both = (*entry.extensions, *self.add_extensions)
        return replace(
            entry,
            carrier=entry.carrier if self.carrier is None else self.carrier,
            extensions=tuple(e for e in dict.fromkeys(both) if e not in self.remove_extensions),
            enabled=entry.enabled if self.enabled is None else self.enabled,
        )


def add(settings: MessageSettings, entry: dict[str, Any]) -> NumberSetting:
    """Add a number. Raises ``EntryRefused``, also where it is there already."""
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
    """Make the same change to some numbers.

    Raises ``SettingsError`` where one of them is not there, ``EntryRefused`` where an entry could
    not be kept, ``SettingsConflict`` when somebody saved since ``generation``.
    """
    chosen = _chosen(settings, numbers)

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        _require(chosen, entries)
        return [
            settings.entry(asdict(edit.of(entry))) if entry.number in chosen else entry
            for entry in entries
        ]

    settings.change(change, generation)


def remove_all(
    settings: MessageSettings, numbers: Collection[str], generation: str | None = None
) -> None:
    """Remove some numbers. Raises as ``edit_all`` does."""
    chosen = _chosen(settings, numbers)

    def change(entries: list[NumberSetting]) -> list[NumberSetting]:
        _require(chosen, entries)
        return [entry for entry in entries if entry.number not in chosen]

    settings.change(change, generation)


def _chosen(settings: MessageSettings, numbers: Collection[str]) -> dict[str, None]:
    if not numbers:
        raise SettingsError("Choose at least one number.", "number")
    return dict.fromkeys(settings.number(number) for number in numbers)


def _require(chosen: dict[str, None], entries: list[NumberSetting]) -> None:
    there = {entry.number for entry in entries}
    for number in chosen:
        if number not in there:
            raise SettingsError(
                f"{number} is not in Message Settings. Check how it is written.", "number"
            )
