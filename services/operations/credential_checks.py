"""Checks that ask others whether our credentials work: carriers, push, mail, mailbox, bucket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.core.errors import MailError, PushError
from services.core.messages import Finding
from services.mail.mailbox import Mailbox
from services.mail.mailer import Mailer
from services.media.backend import MediaBackend
from services.message_settings import MessageSettings
from services.operations.carrier_status import CarrierStatus
from services.providers.base import Provider
from services.push.base import Channel

SERVER, MAILBOX = "mail server", "mailbox"


@dataclass(eq=False)
class CredentialChecks:
    """Asks each of them; ``mailbox`` is that of the answers, if there is one."""

    settings: MessageSettings
    carrier_status: CarrierStatus
    providers: Mapping[str, Provider]
    all_channels: Mapping[str, Channel]
    mailer: Mailer
    mailbox: Mailbox | None
    files: MediaBackend

    def carriers(self) -> dict[str, list[Finding]]:
        """Whether each carrier takes the credentials and knows the numbers, by its name."""
        return {name: self.carrier_status.check(each) for name, each in self.providers.items()}

    def channels(self) -> dict[str, list[Finding]]:
        """The same of each push channel that can be asked."""
        found = {name: self._channel(each) for name, each in self.all_channels.items()}
        return {name: findings for name, findings in found.items() if findings}

    def mail(self) -> dict[str, list[Finding]]:
        """Whether the mail server lets us in, and the mailbox; nothing where e-mail is off."""
        found = {}
        if self.mailer.is_on:
            found[SERVER] = [_tried(self.mailer.check, "It takes our mails.")]
        if (answers := self.answers()) is not None:
            found[MAILBOX] = [answers]
        return found

    def answers(self) -> Finding | None:
        """Whether the mailbox of the answers can be opened, if there is one."""
        if self.mailbox is None:
            return None
        return _tried(self.mailbox.check, "Its folder can be opened.")

    def test_mail(self, to: str) -> Finding:
        """Send a mail to see that it arrives."""
        done = f"It has accepted a test mail to {to}; look whether it arrives, also among spam."
        return _tried(lambda: self.mailer.send_test(to), done)

    def bucket(self) -> str:
        """What is wrong with the bucket of the attachments, or the folder; else nothing."""
        return self.files.problem(thorough=True)

    def _channel(self, channel: Channel) -> list[Finding]:
        extensions = {ext: None for entry in self.settings.all() for ext in entry.extensions}
        try:
            return list(channel.check(list(extensions)))
        except PushError as error:
            return [Finding(False, error.reason)]


def _tried(work: Callable[[], None], done: str) -> Finding:
    try:
        work()
    except MailError as error:
        return Finding(False, error.reason)
    return Finding(True, done)
