"""Second number: the text that begins a conversation, sent by the next number of its outbound rule.

It is tried only where the carrier has refused the first send with certainty, for the number that
sent it. The refused message stays as it is; the next one is a message of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Message, Status, new_id_and_time
from services.message_settings.rules import OutboundRule
from services.messaging.access import ConversationAccess
from services.messaging.message_checks import MessageChecks
from services.providers.base import Provider


@dataclass(eq=False)
class SecondNumber:
    """Finds the number by which a refused message is sent instead."""

    access: ConversationAccess
    providers: Mapping[str, Provider]
    checks: MessageChecks

    def replacement(self, tx: Connection, message: Message, error: SendError) -> list[Message]:
        """The messages by another number that replace a refused one, not stored yet; else empty.

        They are for the next number of the rule that chose the first one, if the extension has it
        and its carrier takes the message. The quotas have counted the message already.
        """
        rule = self._rule(message, error)
        if rule is None or message.extension is None:
            return []
        for number in rule.numbers[rule.numbers.index(message.number) + 1 :]:
            try:
                return self._from_number(tx, message, message.extension, number)
            except RequestRefused:
                continue
        return []

    def _rule(self, message: Message, error: SendError) -> OutboundRule | None:
        """The rule that has more numbers for a message; ``None`` where the refusal stands."""
        provider = self.providers.get(message.provider)
        is_for_number = provider is not None and error.code in provider.number_codes
        if not is_for_number or error.kind not in (Kind.REFUSED, Kind.CONFIG):
            return None
        rules = self.access.outbound_rules()
        found = next((rule for rule in rules if rule.name == message.rule), None)
        return found if found is not None and message.number in found.numbers else None

    def _from_number(
        self, tx: Connection, message: Message, extension: str, number: str
    ) -> list[Message]:
        """The messages by a number. Raises ``RequestRefused`` where it cannot be used."""
        own = {setting.number: setting for setting in self.access.numbers(extension)}
        setting = own.get(number)
        if setting is None:
            raise RequestRefused("number_not_yours", f"{number} cannot be used.")
        whole = replace(
            new_id_and_time(message),
            number=number,
            provider_id=None,
            client_id=None,
            status=Status.QUEUED,
            error_code=None,
            error_reason=None,
            instead_of=message.id,
            replaced_by=None,
        )
        return self.checks.parts(self.checks.checked(tx, setting, whole))
