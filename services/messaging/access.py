"""Access to conversations: which extensions and e-mail addresses may have those of a number.

These are the ones of the number's entry in Message Settings, and all to whom a rule may deliver a
text to the number, with the members of their groups.

The API, the live stream, Acrobits, Ringotel, pushes, mails, sends and their retries all ask here,
each at the moment at which it gives a message away.
"""

from collections.abc import Callable, Sequence

from services.core.authors import is_address, named
from services.core.messages import Message
from services.message_settings import MessageSettings, NumberSetting
from services.message_settings.rules import OutboundRule


class ConversationAccess:
    """Says who may have a conversation, by Message Settings as they are at this moment."""

    def __init__(self, settings: MessageSettings) -> None:
        self._settings = settings

    def numbers(self, author: str) -> tuple[NumberSetting, ...]:
        """The numbers whose conversations an author may have; the first is its default.

        An author is an extension, or an e-mail address.
        """
        if is_address(author):
            return self._settings.for_email(author)
        return self._settings.for_extension(author)

    def setting(self, number: str) -> NumberSetting | None:
        """The entry of a number (E.164) that is in use."""
        setting = self._settings.for_number(number)
        return setting if setting is not None and setting.enabled else None

    def outbound_rules(self) -> Sequence[OutboundRule]:
        """The rules that choose the number by which an extension begins a conversation."""
        return self._settings.rules.outbound

    def author_name(self, author: str) -> str:
        """The name of an author in a sentence, see ``core.authors.named``."""
        return named(author, self._settings.names)

    def extensions(self, number: str) -> tuple[str, ...]:
        """The extensions that may have the conversations of a number (E.164)."""
        return self._settings.extensions_of(number)

    def extension_may(self, extension: str, number: str) -> bool:
        """Whether an extension may have the conversations of a number (E.164)."""
        return self._settings.extension_has(extension, number)

    def author_may(self, author: str, number: str) -> bool:
        """Whether an extension or e-mail address may have the conversations of a number."""
        return (self.address_may if is_address(author) else self.extension_may)(author, number)

    def address_may(self, address: str, number: str) -> bool:
        """Whether an e-mail address may have the conversations of a number, in any case."""
        return address.casefold() in map(str.casefold, self._settings.emails_of(number))

    def addresses(self, number: str) -> tuple[str, ...]:
        """The e-mail addresses that may have the conversations of a number (E.164)."""
        return self._settings.emails_of(number)

    def lost_by_extension(self, extension: str, number: str) -> str:
        """The reason why an extension gets nothing more of a number; empty where it may."""
        if self._may_now(lambda: self.extension_may(extension, number)):
            return ""
        who = self.author_name(extension)
        return f"{who} no longer has {number}{self._switched_off(number)}."

    def lost_by_address(self, address: str, number: str) -> str:
        """The reason why an e-mail address gets nothing more of a number; empty where it may."""
        if self._may_now(lambda: self.address_may(address, number)):
            return ""
        return f"{address} no longer gets the messages of {number}{self._switched_off(number)}."

    def why_not_sent(self, message: Message) -> str:
        """The reason why an outbound message may not be sent any more; empty where it may.

        Its author may have lost the number since it was queued. Answers to STOP and HELP are sent.
        """
        number, author = message.number, message.extension
        if author is not None:
            lost = self.lost_by_address if is_address(author) else self.lost_by_extension
            return lost(author, number)
        if message.automatic or self._may_now(lambda: self.setting(number) is not None):
            return ""
        return f"{number} is not in use any more, by Message Settings."

    def _may_now(self, may: Callable[[], bool]) -> bool:
        """Whether ``may`` holds, by the newest document where it does not by the one in memory.

        This process sees an edit a second late at most.
        """
        if may():
            return True
        self._settings.look()
        return may()

    def _switched_off(self, number: str) -> str:
        setting = self._settings.for_number(number)
        off = setting is not None and not setting.enabled
        return ": the number is switched off in Message Settings" if off else ""
