"""Warnings about rules: unknown extensions, rules that never decide, answers that are not sent."""

from collections.abc import Iterator

from services.core.authors import with_name
from services.core.keywords import Keyword, keyword
from services.message_settings import MessageSettings
from services.message_settings.rule_overlap import never_deciding
from services.message_settings.rules import InboundRule, Rules
from services.store import devices
from services.store.database.store import Store


class RuleWarnings:
    """Finds what should be corrected in rules that can be saved and used all the same."""

    def __init__(self, store: Store, settings: MessageSettings) -> None:
        self._store = store
        self._settings = settings

    def all(self) -> list[str]:
        """The warnings about the rules in force, as sentences. Raises ``StorageUnwell``."""
        rules = self._settings.rules
        return [
            *self._unknown_extensions(rules),
            *(sentence for rule in rules.inbound for sentence in _about(rule)),
            *(
                f"The rule “{rule.name}” never decides: “{earlier.name}” above it matches all "
                f"texts that it matches. Move “{rule.name}” up, or let “{earlier.name}” continue."
                for rule, earlier in never_deciding(rules.inbound)
            ),
        ]

    def _unknown_extensions(self, rules: Rules) -> Iterator[str]:
        known = {ext for entry in self._settings.all() for ext in entry.extensions}
        known |= {extension for group in rules.groups.values() for extension in group.extensions}
        known |= {device.extension for device in self._store.read(devices.of)}
        for extension in sorted(rules.named_extensions - known):
            yield (
                f"Extension {with_name(extension, rules.names)} has no number, group or device. "
                "Check how it is written."
            )


def _about(rule: InboundRule) -> Iterator[str]:
    words = [one for one in rule.keywords if keyword(one) not in (None, Keyword.YES)]
    if rule.reply and words:
        yield (
            f"The rule “{rule.name}” never answers a text that is only {' or '.join(words)}: "
            "that is a word of the opt-out, or HELP."
        )
    if rule.reply and not rule.to:
        yield f"The rule “{rule.name}” answers the texts of every number."
