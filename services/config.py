"""Reading the environment: declared once, checked as a whole, frozen.

A settings class is a frozen dataclass whose fields are made by ``variable``. The field
``api_secret`` of the section ``BANDWIDTH_`` is the variable ``BANDWIDTH_API_SECRET``. The same
declaration loads the value, names everything that is wrong at once, and describes the variable in
``.env.example`` and in the README.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.errors import Problem
from services.values import (
    Network,
    Parse,
    country,
    email_address,
    level_name,
    networks,
    one_of,
    origins,
    per_second,
    postgresql,
    strong_secret,
    switch,
    text,
    url,
    whole_number,
)

T = TypeVar("T")

# Laravel writes "nothing" in these ways, too.
NOTHING = {"", "null", "(null)", "empty", "(empty)"}


@dataclass(frozen=True, slots=True)
class Variable:
    """The declaration of one variable of the environment."""

    name: str
    field: str
    doc: str
    parse: Parse
    default: str | None
    optional: bool
    secret: bool
    example: str
    remedy: str
    needs: str = ""

    @property
    def required(self) -> bool:
        """Whether the section cannot be used without it."""
        return self.default is None and not self.optional


def variable(
    doc: str,
    *,
    parse: Parse = text,
    default: str | None = None,
    optional: bool = False,
    secret: bool = False,
    example: str = "",
    remedy: str = "",
    needs: str = "",
) -> Any:
    """Declare a field of a settings class.

    ``default`` is written as it would stand in ``.env``. An ``optional`` one is ``None`` when
    unset; one that is neither is required. A ``secret`` never shows in a ``repr`` or on a page.
    ``needs`` is the field without which this one makes no sense.
    """
    metadata = {
        "doc": doc,
        "parse": parse,
        "default": default,
        "optional": optional,
        "secret": secret,
        "example": example,
        "remedy": remedy,
        "needs": needs,
    }
    return dataclasses.field(metadata=metadata, repr=not secret, kw_only=True)


def variables(section: type, prefix: str) -> list[Variable]:
    """The variables that a settings class declares, in order."""
    return [
        Variable(name=prefix + f.name.upper(), field=f.name, **f.metadata)
        for f in dataclasses.fields(section)
        if "doc" in f.metadata
    ]


def read(env: Mapping[str, str], name: str) -> str | None:
    """One value, or ``None`` where it is unset; ``NAME_FILE`` may name a file that holds it."""
    value = env.get(name, "").strip()
    if value.lower() not in NOTHING:
        return value
    file = env.get(f"{name}_FILE", "").strip()
    return Path(file).read_text(encoding="utf-8").strip() or None if file else None


def is_on(section: type, prefix: str, env: Mapping[str, str]) -> bool:
    """Whether an optional section is wanted: any of its variables without a default is set."""
    return any(v.default is None and _is_set(env, v.name) for v in variables(section, prefix))


def _is_set(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").strip().lower() not in NOTHING or bool(env.get(f"{name}_FILE"))


def load(section: type[T], prefix: str, env: Mapping[str, str]) -> tuple[T | None, list[Problem]]:
    """Read one section. Returns it with no problems, or ``None`` with every problem it has."""
    values: dict[str, Any] = {}
    problems = []
    for v in variables(section, prefix):
        try:
            written = read(env, v.name)
        except OSError as error:
            problems.append(
                Problem(
                    v.name,
                    f"the file that {v.name}_FILE names cannot be read ({error.strerror}).",
                    "Check its path and permissions.",
                )
            )
            continue
        if written is None:
            written = v.default
        if written is None:
            if v.required:
                remedy = v.remedy or f"Set it in .env: {v.doc}"
                problems.append(Problem(v.name, "is missing.", remedy))
            values[v.field] = None
            continue
        try:
            values[v.field] = v.parse(written)
        except ValueError as error:
            shown = "" if v.secret else f" “{written[:60]}”"
            remedy = v.remedy or (f"Write something like {v.example}." if v.example else "")
            problems.append(Problem(v.name, f"the value{shown} cannot be used: {error}", remedy))
    problems += [
        Problem(
            prefix + v.needs.upper(),
            f"is missing, while {v.name} is set.",
            "Set both of them or neither.",
        )
        for v in variables(section, prefix)
        if v.needs and values.get(v.field) is not None and values.get(v.needs, v) is None
    ]
    return (None if problems else section(**values)), problems


def described(section: Any, prefix: str) -> Iterator[tuple[Variable, str]]:
    """Every variable of a loaded section with its value as it may be shown: secrets are masked."""
    for v in variables(type(section), prefix):
        value = getattr(section, v.field)
        if value is None:
            yield v, ""
        elif isinstance(value, tuple):
            yield v, ", ".join(map(str, value))
        else:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            yield v, "••••••••" if v.secret else shown


def key(value: str) -> bytes:
    """A secret key: Laravel's ``base64:…`` or any text of at least 16 characters."""
    if value.startswith("base64:"):
        try:
            raw = base64.b64decode(value.removeprefix("base64:"), validate=True)
        except binascii.Error:
            raise ValueError("what follows base64: is not base64.") from None
    else:
        raw = value.encode()
    if len(raw) < 16:
        raise ValueError("it is too short to be safe.")
    return raw


def derive(app_key: bytes, purpose: str) -> bytes:
    """A key for one purpose (32 bytes), so that no two uses of ``APP_KEY`` share a secret."""
    return hmac.digest(app_key, b"textbridge:" + purpose.encode(), hashlib.sha256)


def derived_token(app_key: bytes, purpose: str) -> str:
    """A URL-safe token for one purpose (32 characters, 192 bits)."""
    return base64.urlsafe_b64encode(derive(app_key, purpose)[:24]).decode()


@dataclass(frozen=True)
class ServiceSettings:
    """The service itself."""

    app_name: str = variable("Name shown in mails and pages.", default="Textbridge")
    app_env: str = variable(
        "`local` on a desk (turns the sandbox on), `production` in service.",
        default="production",
        example="production",
    )
    app_key: bytes | None = variable(
        "Key from which every token is derived; keep it secret and keep it.",
        parse=key,
        optional=True,
        secret=True,
        remedy="Run `make install`, which writes a new one into .env.",
    )
    admin_password: str | None = variable(
        "Password of the operator at `/admin`, and of the user `admin` at `/metrics` and "
        "`/api/v1/message-settings`.",
        parse=strong_secret,
        optional=True,
        secret=True,
    )
    admin_allow: tuple[Network, ...] | None = variable(
        "Only these addresses may open `/admin` and `/api/v1/message-settings`; empty means any.",
        parse=networks,
        optional=True,
        example="192.0.2.10, 10.0.0.0/8",
    )
    app_url: str | None = variable(
        "Public address of this service, as carriers and apps reach it; empty: this machine's own.",
        parse=url,
        optional=True,
        example="https://sms.example.com",
    )
    app_debug: bool = variable(
        "Log everything, as LOG_LEVEL=debug does.", parse=switch, default="false"
    )
    log_level: str = variable(
        "Least important level that is logged.", parse=level_name, default="info", example="info"
    )
    database_url: str | None = variable(
        "PostgreSQL address; empty means SQLite in STORAGE_PATH.",
        parse=postgresql,
        optional=True,
        secret=True,
        example="postgresql://textbridge:secret@localhost/textbridge",
    )
    storage_path: Path = variable(  # noqa: RUF009 - it is frozen
        "Folder for the database, the media and Message Settings.", parse=Path, default="storage"
    )
    keep_messages_days: int | None = variable(
        "Days after which messages are deleted with all that belongs to them; empty means never.",
        parse=whole_number(7, 36_500),
        optional=True,
        example="365",
    )
    keep_media_days: int | None = variable(
        "Days after which files are deleted and their messages stay; empty means never.",
        parse=whole_number(1, 36_500),
        optional=True,
        example="90",
    )
    default_country: str = variable(
        "Country of numbers that are written without a country code.",
        parse=country,
        default="US",
        example="US",
    )
    trusted_proxies: tuple[Network, ...] | None = variable(
        "Addresses of web servers in front whose `X-Forwarded-For` is believed.",
        parse=networks,
        optional=True,
        example="127.0.0.1",
    )
    push_hosts: tuple[str, ...] | None = variable(
        "Push servers of your own, which may be in your network, separated by commas.",
        parse=origins,
        optional=True,
        example="ntfy.example.com, http://10.0.0.5:8080",
    )
    upload_mb_per_day: int = variable(
        "Most megabytes of files that an extension may upload a day; 0: any number.",
        parse=whole_number(0, 1_000_000),
        default="500",
        example="500",
    )
    received_mb_per_day: int = variable(
        "Most megabytes of files that are kept of one sender a day; 0: any number.",
        parse=whole_number(0, 1_000_000),
        default="200",
        example="200",
    )
    host: str = variable("Address that the server listens on.", default="127.0.0.1")
    port: int = variable(
        "Port that the server listens on.",
        parse=whole_number(1, 65535),
        default="8000",
        example="8000",
    )
    web_concurrency: int = variable(
        "Number of web processes beside the delivery worker.",
        parse=whole_number(1, 64),
        default="2",
        example="2",
    )
    delivery_worker: bool = variable(
        "`false`: this server has no delivery worker among its processes; `flask worker` delivers.",
        parse=switch,
        default="true",
    )


@dataclass(frozen=True)
class MailSettings:
    """The mail server through which a number's e-mail addresses are served."""

    host: str | None = variable(
        "Mail server; empty means that no mail is sent.", optional=True, example="smtp.example.com"
    )
    port: int = variable("Its port.", parse=whole_number(1, 65535), default="587", example="587")
    username: str | None = variable("User name, where the server wants one.", optional=True)
    password: str | None = variable("Its password.", optional=True, secret=True)
    encryption: str | None = variable(
        "`tls` (STARTTLS), `ssl` (from the first byte), `none`; empty: STARTTLS where offered.",
        parse=one_of("tls", "starttls", "ssl", "smtps", "none"),
        optional=True,
        example="tls",
    )
    from_address: str | None = variable(
        "Sender of the mails.", parse=email_address, optional=True, example="texts@example.com"
    )
    from_name: str | None = variable("Its name; empty means APP_NAME.", optional=True)


@dataclass(frozen=True)
class CarrierSettings:
    """What every carrier has."""

    webhook_token: str | None = variable(
        "Token in the webhook's address; empty means one derived from APP_KEY.",
        parse=strong_secret,
        optional=True,
        secret=True,
    )
    webhook_allow: tuple[Network, ...] | None = variable(
        "Only these addresses may call the webhook; empty means any.",
        parse=networks,
        optional=True,
        example="192.0.2.10, 198.51.100.0/24",
    )
    rate: float | None = variable(
        "Most messages a second that are handed to the carrier; empty means no limit of ours.",
        parse=per_second,
        optional=True,
        example="10",
    )
    number_rate: float | None = variable(
        "The same for each number.", parse=per_second, optional=True, example="1"
    )
