"""Exception classes. Each error carries the decision on what to do next.

TextbridgeError
├── ConfigError            the environment is wrong; lists every problem
├── SettingsError          Message Settings are wrong; names the field and the remedy
│   ├── EntryRefused       … one entry; has a sentence for each wrong field
│   └── SettingsConflict   … were changed by another user meanwhile
├── NumberError            not a phone number
├── InvalidWebhook         the webhook is not authentic: 401
├── StorageUnwell          the disk or database cannot write now: 503, the carrier tries again
├── RequestRefused         a request of an app is refused; names the field and the remedy
└── DeliveryError          a job failed; ``kind`` decides what follows
    ├── SendError          … at a carrier
    ├── PushError          … at a push channel
    ├── MailError          … at the mail server
    ├── MediaError         … while fetching or storing an attachment
    └── AccessLost         … because its extension or address has lost the number
"""

from dataclasses import dataclass
from enum import StrEnum

# Follows the reason of a failure that may pass.
MAY_WORK_LATER = "Sending it again later may work."


class TextbridgeError(Exception):
    """Base class of all errors that Textbridge raises itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of the configuration: the variable, the reason and the remedy."""

    variable: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.reason} {self.remedy}"


class ConfigError(TextbridgeError):
    """The environment cannot be used; ``problems`` lists everything that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"The configuration cannot be used:\n{lines}")


class SettingsError(TextbridgeError):
    """Message Settings cannot be read or changed; ``field`` is the place of the mistake."""

    def __init__(self, reason: str, field: str = "") -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}" if field else reason)


class EntryRefused(SettingsError):
    """An entry of Message Settings is invalid; ``problems`` has a sentence for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        field, reason = next(iter(problems.items()))
        super().__init__(reason, field)


class SettingsConflict(SettingsError):
    """Message Settings were changed by another user since they were read."""


class NumberError(TextbridgeError):
    """A text is not a phone number; ``local_only``: an area code is missing."""

    def __init__(self, reason: str, *, local_only: bool = False) -> None:
        super().__init__(reason)
        self.local_only = local_only


class InvalidWebhook(TextbridgeError):
    """A webhook call has no valid proof that it comes from the carrier."""


class StorageUnwell(TextbridgeError):
    """The database or the disk cannot write now; the caller should try again."""


class RequestRefused(TextbridgeError):
    """A request is refused.

    ``code`` is stable and for programs, ``reason`` is a sentence for people, ``field`` names the
    wrong part and ``status`` is the HTTP status. After ``retry_after`` seconds the same request may
    succeed.
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

    RETRY = "retry"  # certainly not done: try again later
    REFUSED = "refused"  # will never work: give up with the reason
    UNKNOWN = "unknown"  # may have been done: never repeat it without a check
    CONFIG = "config"  # nothing will work until the operator acts: pause the destination
    GONE = "gone"  # the receiver does not exist any more: delete its address


class DeliveryError(TextbridgeError):
    """A job failed.

    ``reason`` is a sentence for the operator and the user, without secrets. ``code`` is the error
    code of the other side. ``retry_after`` (seconds) is given if the other side asked to wait: then
    the whole destination is paused and the attempt does not count. ``offline``: this one
    receiver cannot be reached now; nothing is paused, the job is tried again by a slow schedule and
    keeps its place in its lane.
    """

    def __init__(
        self,
        reason: str,
        kind: Kind,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        offline: bool = False,
    ) -> None:
        self.reason = reason
        self.kind = kind
        self.code = code
        self.retry_after = retry_after
        self.offline = offline
        super().__init__(reason)


class SendError(DeliveryError):
    """A carrier did not accept a message."""


class PushError(DeliveryError):
    """A push channel did not accept a notification."""


class MailError(DeliveryError):
    """The mail server did not accept a mail."""


class MediaError(DeliveryError):
    """An attachment could not be fetched or stored."""


class AccessLost(DeliveryError):
    """An extension or e-mail address has lost the number since the job was queued.

    The job is given up; nothing is wrong with the device, the mail server or the carrier.
    """

    def __init__(self, reason: str, *, code: str | None = None) -> None:
        super().__init__(reason, Kind.REFUSED, code=code)
