"""What can go wrong. Every error carries the decision that follows from it.

TextbridgeError
├── ConfigError            the environment is wrong: every problem at once
├── SettingsError          a Message Settings entry is wrong: names the field and the remedy
│   └── SettingsConflict   somebody else saved first
├── NumberError            not a phone number
├── InvalidWebhook         the caller is not the carrier: 401
├── StorageUnwell          the disk or the database cannot take it now: 503, the carrier repeats
├── RequestRefused         a reply from the app that cannot be taken: names the field and the remedy
└── DeliveryError          a job did not succeed; ``kind`` says what follows
    ├── SendError          … at a carrier
    ├── PushError          … at a push channel
    ├── MailError          … at the mail server
    └── MediaError         … while an attachment was fetched
"""

from dataclasses import dataclass
from enum import StrEnum


class TextbridgeError(Exception):
    """Anything that Textbridge itself says went wrong."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: which variable, what is wrong, what to do."""

    variable: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.reason} {self.remedy}"


class ConfigError(TextbridgeError):
    """The environment cannot be used; ``problems`` lists everything at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"The configuration cannot be used:\n{lines}")


class SettingsError(TextbridgeError):
    """Message Settings cannot be read or changed like this; ``field`` says where."""

    def __init__(self, reason: str, field: str = "") -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}" if field else reason)


class EntryRefused(SettingsError):
    """An entry of Message Settings cannot be kept; ``problems`` are sentences by field."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        field, reason = next(iter(problems.items()))
        super().__init__(reason, field)


class SettingsConflict(SettingsError):
    """Message Settings were changed by somebody else since they were read."""


class NumberError(TextbridgeError):
    """A text that should be a phone number is none."""


class InvalidWebhook(TextbridgeError):
    """The call does not prove that it comes from the carrier."""


class StorageUnwell(TextbridgeError):
    """The database or the disk cannot keep anything now; whoever asked should try again."""


class RequestRefused(TextbridgeError):
    """A request that an app made cannot be taken.

    ``code`` is stable and for programs, ``reason`` is a sentence for people, ``field`` names the
    offending part and ``status`` is the HTTP status that fits. The same may be asked for again
    after ``retry_after`` seconds.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        field: str = "",
        status: int = 422,
        retry_after: float | None = None,
    ) -> None:
        self.code = code
        self.reason = reason
        self.field = field
        self.status = status
        self.retry_after = retry_after
        super().__init__(reason)


class Kind(StrEnum):
    """What follows from a failed delivery."""

    RETRY = "retry"  # certainly not done; try again later
    REFUSED = "refused"  # will never work; give up and say why
    UNKNOWN = "unknown"  # may have been done; never repeat it blindly
    CONFIG = "config"  # nothing will work until the operator acts; pause the destination
    GONE = "gone"  # the receiver exists no longer; forget its address


class DeliveryError(TextbridgeError):
    """A job did not succeed.

    ``reason`` is a sentence for the operator and the app's user and holds no secret. ``code`` is
    the other side's own code. ``retry_after`` (seconds) is the other side's own wish; with it the
    whole destination is paused and the attempt does not count.
    """

    def __init__(
        self,
        reason: str,
        kind: Kind,
        *,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.reason = reason
        self.kind = kind
        self.code = code
        self.retry_after = retry_after
        super().__init__(reason)


class SendError(DeliveryError):
    """A carrier did not take a message."""


class PushError(DeliveryError):
    """A push channel did not take a notification."""


class MailError(DeliveryError):
    """The mail server did not take a mail."""


class MediaError(DeliveryError):
    """An attachment could not be fetched or kept."""
