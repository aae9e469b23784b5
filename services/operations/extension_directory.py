"""Directory of extensions: name, numbers, groups, devices, last seen, failed notifications."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection

from services.core.errors import SettingsError
from services.message_settings import MessageSettings
from services.message_settings.search import Query
from services.message_settings.slices import CHEAP_SLICE, in_slices
from services.store import dead_letters, devices
from services.store.database.store import Store
from services.store.devices import Use


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of the PBX that Message Settings, rules or devices know.

    ``numbers`` are those whose entry names it, ``failed_pushes`` counts the notifications that
    could not be delivered, ``seen_at`` is in seconds since 1970.
    """

    extension: str
    name: str = ""
    numbers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    devices: int = 0
    seen_at: float | None = None
    failed_pushes: int = 0


class ExtensionDirectory:
    """Finds extensions."""

    def __init__(self, store: Store, settings: MessageSettings) -> None:
        self._store = store
        self._settings = settings

    def find(self, typed: str = "") -> list[Extension]:
        """The extensions that have all words of a query, its number or one with its digits."""
        query, number = Query.of(typed), self._number(typed)
        found = self._all()
        if query.words:
            found = [one for one in found if number in one.numbers or _matches(one, query)]
        return sorted(found, key=lambda one: _order(one.extension))

    def one(self, extension: str) -> Extension | None:
        """What is known of an extension; ``None`` if nothing knows it."""
        return next((one for one in self._all() if one.extension == extension), None)

    def _number(self, query: str) -> str:
        """The number that a query is as a whole, or an empty text."""
        try:
            return self._settings.number(query)
        except SettingsError:
            return ""

    def _all(self) -> list[Extension]:
        rules, names = self._settings.rules, self._settings.names
        numbers: dict[str, list[str]] = {}
        for entry in in_slices(self._settings.all(), CHEAP_SLICE):
            for extension in entry.extensions:
                numbers.setdefault(extension, []).append(entry.number)
        groups: dict[str, list[str]] = {}
        for group in rules.groups.values():
            for extension in group.extensions:
                groups.setdefault(extension, []).append(group.name)
        used, failed = self._store.read(self._of_devices)
        known = dict.fromkeys((*numbers, *rules.named_extensions, *used))
        nothing = Use(0, None)
        return [
            Extension(
                extension,
                names.get(extension, ""),
                tuple(numbers.get(extension, ())),
                tuple(groups.get(extension, ())),
                used.get(extension, nothing).devices,
                used.get(extension, nothing).seen_at,
                failed.get(extension, 0),
            )
            for extension in known
        ]

    def _of_devices(self, tx: Connection) -> tuple[dict[str, Use], Counter[str]]:
        """How extensions use devices, and the number of pushes to each that have failed."""
        by_target = dead_letters.pushes_by_target(tx)
        targets = devices.including_revoked(tx, by_target)
        failed: Counter[str] = Counter()
        for target, count in by_target.items():
            device = targets.get(target)
            # A channel without devices names its extension: “ringotel:201”.
            failed[device.extension if device else target.partition(":")[2]] += count
        return devices.use_by_extension(tx), failed


def _matches(one: Extension, query: Query) -> bool:
    return query.has_digits_of(*one.numbers) or query.is_within(
        one.extension, one.name, *one.numbers, *one.groups
    )


def _order(extension: str) -> tuple[bool, int, str]:
    """Whole numbers by their size, then all others."""
    is_number = extension.isdecimal()
    return not is_number, int(extension) if is_number else 0, extension
