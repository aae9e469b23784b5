"""Addressing: from which number to which recipients a request of an author goes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from services.core.emergency_numbers import require_no_emergency
from services.core.errors import RequestRefused
from services.core.phone_numbers import e164, is_dialable, peer, requested, without_channel
from services.message_settings import NumberSetting
from services.message_settings.rules import OutboundRule
from services.messaging.access import ConversationAccess
from services.store import conversations


@dataclass(frozen=True, slots=True)
class Addressed:
    """The number that sends, the recipients, and the outbound rule that chose the number."""

    setting: NumberSetting
    recipients: tuple[str, ...]
    rule: str | None = None


@dataclass(eq=False)
class Addressing:
    """Finds number and recipients; ``country`` is that of numbers without a country code."""

    access: ConversationAccess
    country: str

    def own_numbers(self, extension: str) -> Sequence[NumberSetting]:
        """The numbers of an extension, its default first. Raises ``RequestRefused`` without one."""
        settings = self.access.numbers(extension)
        if not settings:
            raise RequestRefused(
                "no_number",
                f"{self.access.author_name(extension)} has no number yet. Ask your "
                "administrator to add it in Message Settings.",
                status=403,
            )
        return settings

    def resolve(
        self,
        tx: Connection,
        extension: str,
        *,
        to: tuple[str, ...],
        sender: str | None,
        conversation_id: str | None,
    ) -> Addressed:
        """From where to where a request goes. Raises ``RequestRefused``.

        Outbound rules decide where there is no conversation with these recipients yet.
        """
        settings = self.own_numbers(extension)
        rules = self.access.outbound_rules()
        by_number = {setting.number: setting for setting in settings}
        if conversation_id is not None:
            known = conversations.by_id(tx, conversation_id, by_number)
            if known is None:
                raise RequestRefused(
                    "not_found",
                    "There is no such conversation.",
                    field="conversation_id",
                    status=404,
                )
            members = known.participants or (known.peer,)
            for member in members:
                bare = without_channel(member)
                require_no_emergency(bare, [known.number], self.country, "conversation_id")
                _require_dialable(member, "conversation_id")
            return Addressed(by_number[known.number], members)
        recipients = self._recipients(tx, by_number, to)
        if not recipients:
            raise RequestRefused("missing", "Say to whom the message goes.", field="to")
        rule = _outbound_rule(rules, extension, recipients, by_number)
        if sender is None:
            return _without_sender(tx, settings, recipients, rule)
        number = requested(e164, sender, self.country, "from")
        if number not in by_number:
            raise RequestRefused(
                "number_not_yours", f"{number} is not a number of yours.", field="from", status=403
            )
        if rule is None or conversations.latest_number(tx, [number], recipients):
            return Addressed(by_number[number], recipients)
        if number not in rule.numbers:
            allowed = [one for one in rule.numbers if one in by_number]
            raise RequestRefused(
                "number_not_allowed",
                f"A new conversation with {', '.join(recipients)} leaves by "
                f"{' or '.join(allowed)}, by the rule “{rule.name}”.",
                field="from",
                status=403,
            )
        return Addressed(by_number[number], recipients, rule.name)

    def recipient(self, typed: str, numbers: Iterable[str]) -> str:
        """The address that a person has typed; one of our ``numbers`` is to send to it.

        Raises ``RequestRefused``.
        """
        require_no_emergency(typed, numbers, self.country, "to")
        return requested(peer, typed, self.country, "to")

    def _recipients(
        self, tx: Connection, numbers: Collection[str], to: tuple[str, ...]
    ) -> tuple[str, ...]:
        """The addresses of a request, as a person types them or as a conversation has them."""
        found = []
        try:
            for address in to:
                found.append(self.recipient(address, numbers))
                _require_dialable(found[-1], "to")
        except RequestRefused:
            if not all(map(is_dialable, to)) or not conversations.latest_number(tx, numbers, to):
                raise
            # Such as a short code that no person could have typed.
            found = list(to)
        return tuple(dict.fromkeys(found))


def _without_sender(
    tx: Connection,
    settings: Sequence[NumberSetting],
    recipients: tuple[str, ...],
    rule: OutboundRule | None,
) -> Addressed:
    """The number where the request names none: of the newest conversation, else by the rule."""
    by_number = {setting.number: setting for setting in settings}
    latest = conversations.latest_number(tx, by_number, recipients)
    if latest:
        return Addressed(by_number[latest], recipients)
    if rule is None:
        return Addressed(settings[0], recipients)
    number = next(one for one in rule.numbers if one in by_number)
    return Addressed(by_number[number], recipients, rule.name)


def _outbound_rule(
    rules: Sequence[OutboundRule],
    extension: str,
    recipients: Sequence[str],
    numbers: Collection[str],
) -> OutboundRule | None:
    """The first rule that applies and of whose numbers the extension has one, if any."""
    for rule in rules:
        if not rule.mismatch(extension, recipients) and any(n in numbers for n in rule.numbers):
            return rule
    return None


def _require_dialable(address: str, field: str) -> None:
    """Raise ``RequestRefused`` for a sender that is a name, or a number that cannot be one."""
    if not is_dialable(address):
        is_name = any(character.isalpha() for character in address)
        what = "a name, not a number" if is_name else "no complete phone number"
        raise RequestRefused(
            "not_dialable", f"Nobody can reply to “{address}”: it is {what}.", field=field
        )
