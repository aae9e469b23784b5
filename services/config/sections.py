"""Settings classes of the environment, except those of single carriers and push channels.

Service, mail server, send limits, S3-compatible storage, Web Push keys, and the variables that
every carrier has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from services.config.keys import key
from services.config.parsers import (
    Network,
    answer_text,
    bucket_endpoint,
    bucket_name,
    bucket_prefix,
    contact_address,
    countries,
    country,
    country_hours,
    email_address,
    language,
    level_name,
    listener,
    networks,
    one_of,
    origins,
    per_second,
    postgresql,
    reply_address,
    strong_secret,
    switch,
    time_zone,
    url,
    vapid_private_key,
    whole_number,
)
from services.config.variables import variable
from services.core.errors import Problem
from services.core.recipient_hours import CountryHours


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of the service itself."""

    app_name: str = variable("Name shown in mails and pages.", default="Textbridge")
    app_env: str = variable(
        "`local` for development (turns the sandbox on), `production` in service.",
        default="production",
        example="production",
    )
    app_key: bytes | None = variable(
        "Key from which every token is derived; keep it secret and keep it.",
        parse=key,
        optional=True,
        secret=True,
        remedy="Leave it empty and run `make install`, which writes a new one into .env.",
    )
    admin_password: str | None = variable(
        "Password of the administrator at `/admin`, and of the user `admin` at `/metrics` and "
        "`/api/v1/message-settings`.",
        parse=strong_secret,
        optional=True,
        secret=True,
    )
    admin_allow: tuple[Network, ...] | None = variable(
        "Only these addresses may open `/admin` and `/api/v1/message-settings`, and see `/metrics` "
        "and the details of `/ready` with the password; empty means any.",
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
    allow_delete: bool = variable(
        "Whether people may delete messages and conversations in their apps, for all who have the "
        "number (docs/phone.md).",
        parse=switch,
        default="false",
    )
    default_country: str = variable(
        "Country of numbers that are written without a country code.",
        parse=country,
        default="US",
        example="US",
    )
    app_timezone: str = variable(
        "Time zone of pages, mails, commands, and opening hours that name none, such as "
        "America/New_York.",
        parse=time_zone,
        default="UTC",
        example="UTC",
    )
    trusted_proxies: tuple[Network, ...] | None = variable(
        "Addresses of web servers in front (nginx, a load balancer), whose `X-Forwarded-For` is "
        "believed. Needed with every one, also on this machine.",
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
    """The mail server that sends messages to the e-mail addresses of a number."""

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
    language: str = variable(
        "Language of mails, and of the words in notifications: `en`, `es`, `fr-CA` or `de`. The "
        "phone app has its own choice.",
        parse=language,
        default="en",
        example="fr-CA",
        remedy="For German write de.",
    )


@dataclass(frozen=True)
class MailReplySettings:
    """Answers to the mails, which become texts."""

    address: str | None = variable(
        "Address to which the mails are answered; each mail has a signed part after a plus sign in "
        "it. Empty: mails cannot be answered.",
        parse=reply_address,
        optional=True,
        example="texts@example.com",
    )
    days: int = variable(
        "Days for which a mail can be answered.",
        parse=whole_number(1, 3_650),
        default="30",
        example="30",
    )
    require: str | None = variable(
        "What must have passed at the mail server that takes the answers in: `dkim`, `spf` or "
        "`dmarc`; empty: nothing.",
        parse=one_of("dkim", "spf", "dmarc"),
        optional=True,
        example="dmarc",
        needs="server",
    )
    server: str | None = variable(
        "Name of that server in the `Authentication-Results` that it writes.",
        optional=True,
        example="mx.example.com",
    )
    listen: str | None = variable(
        "Address and port at which `flask mail listen` takes the answers in by SMTP, instead of a "
        "mailbox.",
        parse=listener,
        optional=True,
        example="127.0.0.1:2525",
    )


@dataclass(frozen=True)
class ImapSettings:
    """The mailbox into which answers to the mails come."""

    host: str = variable("IMAP server of the mailbox.", example="imap.example.com")
    port: int | None = variable(
        "Its port; empty: 993 with `ssl`, else 143.",
        parse=whole_number(1, 65535),
        optional=True,
        example="993",
    )
    username: str = variable("User name of the mailbox.")
    password: str = variable("Its password.", secret=True)
    encryption: str = variable(
        "`ssl` (from the first byte), `tls` (STARTTLS), or `none`.",
        parse=one_of("ssl", "tls", "none"),
        default="ssl",
        example="ssl",
    )
    folder: str = variable("Folder that is looked at.", default="INBOX")


@dataclass(frozen=True)
class CarrierSettings:
    """Settings that every carrier has."""

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
        "Most messages a second that are handed to the carrier; empty means no limit.",
        parse=per_second,
        optional=True,
        example="10",
    )
    number_rate: float | None = variable(
        "The same for each number.", parse=per_second, optional=True, example="1"
    )

    def warnings(self, now: float) -> Iterator[Problem]:
        """What stops nothing and should be fixed; ``now`` is in seconds since 1970."""
        yield from ()


@dataclass(frozen=True)
class SendSettings:
    """Limits on destinations and on the number of messages."""

    countries: tuple[str, ...] | None = variable(
        "Countries that may be texted, by their two letters; `*`: all; empty: DEFAULT_COUNTRY's.",
        parse=countries,
        optional=True,
        example="US, CA, MX",
    )
    per_minute: int = variable(
        "Most messages that an extension may send a minute; 0: any number.",
        parse=whole_number(0, 1_000_000),
        default="30",
        example="30",
    )
    per_day: int = variable(
        "The same a day.", parse=whole_number(0, 1_000_000), default="1000", example="1000"
    )
    per_peer_hour: int = variable(
        "Most messages that all extensions may send to one number an hour; 0: any number.",
        parse=whole_number(0, 1_000_000),
        default="120",
        example="120",
    )
    per_peer_day: int = variable(
        "The same a day.", parse=whole_number(0, 1_000_000), default="500", example="500"
    )


@dataclass(frozen=True)
class ScheduleSettings:
    """Texts that are sent later, and the recipient's hours that they keep."""

    expire_hours: int = variable(
        "Hours after its time at which a scheduled text is no longer sent but fails, such as when "
        "the server was off.",
        parse=whole_number(1, 8_760),
        default="24",
        example="24",
    )
    us_hours: bool = variable(
        "Scheduled texts to numbers of the United States wait for the hours of the "
        "recipient's state; `false`: they do not.",
        parse=switch,
        default="true",
    )
    country_hours: tuple[CountryHours, ...] | None = variable(
        "The same for other countries, separated by commas, one entry each: two letters, hours, "
        "time zones; not for the United States and their territories. Empty: none.",
        parse=country_hours,
        optional=True,
        example="GB 08:00-21:00 Europe/London, CA 09:00-20:00 America/Toronto America/Vancouver",
    )
    answers_wait: bool = variable(
        "Automatic answers of rules wait as well, and are not sent if a person has answered "
        "meanwhile; `false`: they are sent at once, as answers to a text that has just come.",
        parse=switch,
        default="false",
    )


@dataclass(frozen=True)
class BulkSettings:
    """Bulk sends: one text to a set of recipients, each by themselves."""

    sending: bool = variable(
        "`true`: extensions may send one text to up to 500 recipients, each by themselves, see "
        "docs/bulk-send.md. It is for people who have agreed to it, not for mass mail.",
        parse=switch,
        default="false",
    )
    send_recipients_a_day: int = variable(
        "Most recipients of all bulk sends a day; 0: any number.",
        parse=whole_number(0, 1_000_000),
        default="500",
        example="500",
    )


@dataclass(frozen=True)
class OptOutSettings:
    """What STOP means, and how STOP and HELP are answered where no carrier answers them."""

    scope: str = variable(
        "What STOP ends: texts of the `number` that it was sent to, or of `all` numbers.",
        parse=one_of("number", "all"),
        default="number",
        example="number",
    )
    name: str | None = variable(
        "Name of the business in the answers to STOP and HELP; empty: APP_NAME.",
        optional=True,
        example="Harbour Cafe",
    )
    contact: str | None = variable(
        "How a person reaches you, in the answer to HELP; empty: the number that was texted.",
        optional=True,
        example="help@example.com",
    )
    confirmation: str = variable(
        "Answer to STOP, with `{name}` and `{number}`; advertise nothing in it.",
        parse=answer_text,
        default="{name}: you are unsubscribed and get no more texts from this number. Reply START "
        "to resubscribe.",
    )
    help: str = variable(
        "Answer to HELP, with `{name}`, `{contact}` and `{number}`.",
        parse=answer_text,
        default="{name}: for help contact {contact}. Reply STOP to opt out.",
    )


@dataclass(frozen=True)
class S3Settings:
    """The bucket that stores attachments; without it they are in STORAGE_PATH."""

    endpoint: str = variable(
        "Address of the S3-compatible storage, without the bucket.",
        parse=bucket_endpoint,
        example="https://s3.us-east-1.amazonaws.com",
    )
    bucket: str = variable(
        "Bucket for the attachments.", parse=bucket_name, example="textbridge-media"
    )
    region: str = variable(
        "Its region, as the storage calls it (`auto` at Cloudflare R2).", default="us-east-1"
    )
    access_key: str = variable("Access key ID that may get, put, delete and list there.")
    secret_key: str = variable("The secret of that access key.", secret=True)
    prefix: str | None = variable(
        "Folder in the bucket, where it is shared with others.",
        parse=bucket_prefix,
        optional=True,
        example="textbridge/",
    )
    path_style: bool = variable(
        "The bucket stands in the address's path; `false`: before its host name.",
        parse=switch,
        default="true",
    )


@dataclass(frozen=True)
class VapidSettings:
    """Our identity for Web Push services; all of it is optional."""

    private_key: ec.EllipticCurvePrivateKey | None = variable(  # noqa: RUF009 - it is frozen
        "VAPID key that devices subscribed with, in base64url; empty: derived from APP_KEY.",
        parse=vapid_private_key,
        optional=True,
        secret=True,
        remedy="It is the 43 signs that `npx web-push generate-vapid-keys` calls “Private Key”.",
    )
    subject: str | None = variable(
        "Whom push services may turn to: an e-mail or https address; empty: APP_URL.",
        parse=contact_address,
        optional=True,
        example="mailto:admin@example.com",
    )
