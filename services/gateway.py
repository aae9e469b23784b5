"""The composition root: builds every part of the service from its configuration and holds it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from services import providers, push
from services.config.environment import Environment, load
from services.config.keys import derive
from services.config.storage_layout import MEDIA
from services.core.language import Language
from services.core.local_time import LocalTime
from services.delivery.completion_journal import CompletionJournal
from services.delivery.delivery import Delivery
from services.delivery.email_delivery import EmailDelivery
from services.delivery.fetch_media import MediaFetcher
from services.delivery.leasing import Leasing
from services.delivery.mailbox_poller import MailboxPoller
from services.delivery.notification_text import NotificationText
from services.delivery.outcome import Outcomes
from services.delivery.overdue_mail import OverdueMail
from services.delivery.periodic_tasks import PeriodicTask
from services.delivery.push_delivery import PushDelivery
from services.delivery.reconcile import Reconciler
from services.delivery.send import Sender
from services.delivery.worker import Worker
from services.http.certificates import served_certificate
from services.http.client import Http
from services.mail.authentication import AuthenticationPolicy
from services.mail.mailbox import Mailbox
from services.mail.mailer import Mailer
from services.mail.reply_address import ReplyAddresses
from services.media.backend import MediaBackend
from services.media.bucket import Bucket
from services.media.folder import Folder
from services.media.links import Links
from services.media.media_store import MediaStore
from services.media.s3 import S3
from services.message_settings import MessageSettings
from services.messaging.access import ConversationAccess
from services.messaging.addressing import Addressing
from services.messaging.assignments import Assignments
from services.messaging.automatic_answers import AutomaticAnswers
from services.messaging.bulk_release import BulkRelease
from services.messaging.bulk_sending import BulkSending
from services.messaging.call_files import CallFiles
from services.messaging.carrier_event_log import CarrierEventLog
from services.messaging.compose import Composer
from services.messaging.consent import Consent
from services.messaging.deleting import Deleting
from services.messaging.device_limits import DeviceLimits
from services.messaging.mail_replies import MailReplies
from services.messaging.message_checks import MessageChecks
from services.messaging.opt_out import OptOuts
from services.messaging.process import Processor
from services.messaging.receive import Receiver
from services.messaging.recover import Recovery
from services.messaging.replay import Replay
from services.messaging.reread import Reread
from services.messaging.route import Router
from services.messaging.scheduling import Scheduling
from services.messaging.second_number import SecondNumber
from services.messaging.send_limits import SendLimits
from services.messaging.send_times import SendTimes
from services.messaging.store_parts import PartStore
from services.messaging.thumbnails import Thumbnails
from services.messaging.uploads import Uploads
from services.operations import housekeeping, own_certificate, own_name, retention, statistics
from services.operations.admin_auth import AdminAuth
from services.operations.audit import Audit
from services.operations.carrier_status import CarrierStatus
from services.operations.config_findings import ConfigFindings
from services.operations.contact_book import ContactBook
from services.operations.credential_checks import CredentialChecks
from services.operations.doctor.doctor import Doctor
from services.operations.doctor.network import Network
from services.operations.doctor.passage import Passage
from services.operations.doctor.public_address import PublicAddress
from services.operations.extension_directory import ExtensionDirectory
from services.operations.health import Health
from services.operations.login_throttle import PAIRING, PASSWORD, TOKENS, LoginThrottle
from services.operations.message_query import MessageQuery
from services.operations.migration.history import History
from services.operations.migration.migration import Migration
from services.operations.migration.proof import Proofs
from services.operations.mistake_warnings import MistakeWarnings
from services.operations.operator_actions import OperatorActions
from services.operations.opt_out_register import OptOutRegister
from services.operations.own_certificate import OwnCertificate
from services.operations.own_name import OwnName
from services.operations.probe_key import ProbeKey
from services.operations.restore import Restore
from services.operations.retention import Retention
from services.operations.rule_trial import RuleTrial
from services.operations.rule_warnings import RuleWarnings
from services.operations.settings_source import left_file, open_settings, take_over
from services.operations.setup_checklist import SetupChecklist
from services.operations.stray_webhooks import StrayWebhooks
from services.operations.undeclared_proxies import UndeclaredProxies
from services.operations.why import Why
from services.providers import PROVIDERS
from services.providers.base import Provider, ProviderContext
from services.providers.sandbox import Sandbox
from services.push import CHANNELS
from services.push.address import PushHostPolicy
from services.push.base import Channel, ChannelContext, TwoWayChannel
from services.push.vapid import Vapid, contact, derived_key
from services.store import devices
from services.store.database.store import Store
from services.store.database.time_limits import WORKER_SECONDS
from services.store.jobs import JobKind

CHECK_SECONDS = 60.0
RELEASE_SECONDS = 0.05  # between two batches of scheduled texts


def load_environment(env: Mapping[str, str]) -> Environment:
    """Read the environment with every carrier and channel, see ``config.environment.load``."""
    return load(env, providers.SECTIONS, push.SECTIONS)


class Gateway:
    """Every part of Textbridge below Flask, built once for each process."""

    def __init__(self, environment: Environment) -> None:
        service = environment.service
        storage = service.storage_path.resolve()
        self.environment = environment
        self.stopping = False  # set when this process is being stopped: open streams end
        self.country = service.default_country
        self.local_time = LocalTime(service.app_timezone)
        self.store = Store(service.database_url, storage)
        self.settings = open_settings(self.store, storage, self.country, service.app_timezone)
        self.http = Http()
        self.media = MediaStore(
            _media_backend(environment, self.http), Links(environment.app_key, environment.app_url)
        )
        self.vapid = Vapid(
            environment.vapid.private_key or derived_key(environment.app_key),
            contact(environment.vapid.subject, environment.app_url),
        )
        self.providers = _providers(environment, self.http, self.settings)
        self.channels = _channels(environment, self.vapid)
        self.reply_addresses = _reply_addresses(environment)
        self.mailer = Mailer(
            environment.mail,
            service.app_name,
            _domain(environment.app_url),
            self.local_time,
            self.reply_addresses,
        )
        self.mailbox = Mailbox(environment.mailbox) if environment.mailbox is not None else None
        self._build_messaging()
        self._build_delivery(storage / "run")
        self._build_operations(storage)

    def _build_messaging(self) -> None:
        environment = self.environment
        self.carrier_events = CarrierEventLog(self.store)
        self.limits = SendLimits(environment.sending, environment.service, environment.bulk)
        self.device_limits = DeviceLimits(self.store)
        self.access = ConversationAccess(self.settings)
        self.assignments = Assignments(self.store, self.settings, self.access, self.channels)
        self.router = Router(
            self.store, self.settings, self.access, self.channels, self.assignments
        )
        self.opt_outs = OptOuts(
            environment.opt_out,
            environment.opt_out.name or environment.service.app_name,
            self.providers,
            self.limits,
            self.router,
            self.local_time,
        )
        self.consent = Consent(self.opt_outs)
        self.uploads = Uploads(self.store, self.access, self.providers, self.media, self.limits)
        self.thumbnails = Thumbnails(self.store, self.media)
        self.checks = MessageChecks(self.providers, self.limits, self.opt_outs, self.country)
        self.send_times = SendTimes(environment.schedule)
        self.composer = Composer(
            self.store,
            self.access,
            Addressing(self.access, self.country),
            self.checks,
            self.limits,
            self.uploads,
            self.assignments,
            self.send_times,
        )
        self.mail_replies = self._mail_replies()
        self.scheduling = Scheduling(
            self.store,
            self.access,
            self.composer,
            self.checks,
            self.device_limits,
            self.router,
            self.assignments,
        )
        self.deleting = Deleting(
            self.store,
            self.access,
            self.media,
            self.device_limits,
            environment.service.allow_delete,
        )
        self.bulk_sending = BulkSending(
            self.store, self.composer, self.router, self.device_limits, environment.bulk
        )
        self.bulk_release = BulkRelease(
            self.store, self.scheduling, self.bulk_sending, self.providers
        )
        self.automatic = AutomaticAnswers(self.settings, self.composer)
        parts = PartStore(
            self.settings, self.router, self.limits, self.country, self.opt_outs, self.automatic
        )
        files = CallFiles(self.store, self.media, self.limits, self.country)
        self.receiver = Receiver(self.store, self.carrier_events)
        self.processor = Processor(self.store, self.providers, parts, files)
        self.replay = Replay(self.store, self.providers, parts, files)
        self.recovery = Recovery(self.store, self.providers, parts)

    def _mail_replies(self) -> MailReplies | None:
        """What takes answers to mails in, if mails can be answered."""
        if self.reply_addresses is None:
            return None
        asked = self.environment.mail_replies
        return MailReplies(
            self.store,
            self.access,
            self.composer,
            self.uploads,
            self.media,
            self.reply_addresses,
            AuthenticationPolicy(asked.require or "", asked.server or ""),
            self.mailer,
            self.reply_addresses.pattern(self.environment.mail.from_address),
        )

    def _mailbox_poller(self) -> MailboxPoller | None:
        if self.mailbox is None or self.mail_replies is None:
            return None
        days = self.environment.mail_replies.days
        return MailboxPoller(self.store, self.mailbox, self.mail_replies, days)

    def _build_delivery(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self.journal = CompletionJournal(run_folder)
        self.outcomes = Outcomes(
            self.store,
            self.router,
            self.providers,
            self.carrier_events,
            self.journal,
            self.opt_outs,
            SecondNumber(self.access, self.providers, self.checks),
        )
        self.push_delivery = PushDelivery(
            self.store,
            self.access,
            self.channels,
            self.media,
            self.outcomes,
            self.journal,
            NotificationText(
                Language(self.environment.mail.language), self.environment.service.app_name
            ),
        )
        sender = Sender(
            self.store,
            self.settings,
            self.access,
            self.providers,
            self.media,
            self.outcomes,
            self.carrier_events,
            self.opt_outs,
            self.send_times,
        )
        fetcher = MediaFetcher(
            self.store, self.providers, self.media, self.http, self.limits, self.outcomes
        )
        emails = EmailDelivery(
            self.store,
            self.providers,
            self.access,
            self.mailer,
            self.media,
            self.outcomes,
            self.journal,
            self.environment.app_url,
        )
        reconciler = Reconciler(self.store, self.providers, self.outcomes)
        self.delivery = Delivery(
            self.store,
            self.processor,
            Leasing(self.store, self.providers, self.channels),
            self.push_delivery,
            {
                JobKind.SEND: sender.send,
                JobKind.EMAIL: emails.send,
                JobKind.FETCH: fetcher.fetch,
                JobKind.RECONCILE: reconciler.reconcile,
            },
            self.outcomes,
        )

    def _build_operations(self, storage: Path) -> None:
        environment, service = self.environment, self.environment.service
        self.audit = Audit(self.store)
        self.proxies = UndeclaredProxies(self.store, service.trusted_proxies or ())
        self.config_findings = ConfigFindings(environment, self.settings)
        self.stray_webhooks = StrayWebhooks(self.store, self.providers)
        self.own_certificate = OwnCertificate(self.store, environment.app_url)
        self.own_name = OwnName(self.store, environment.app_url)
        self.mistakes = MistakeWarnings(
            self.store,
            self.settings,
            self.providers,
            self.channels,
            self.stray_webhooks,
            self.own_certificate,
            self.own_name,
        )
        self.health = Health(
            self.store,
            self.settings,
            self.media,
            environment,
            self.proxies,
            self.config_findings,
            self.mistakes,
        )
        self.retention = Retention(self.store, self.media, self.router, service)
        self.operator_actions = OperatorActions(self.store, self.router, self.assignments)
        self.opt_out_register = OptOutRegister(
            self.store, self.opt_outs, self.country, self.local_time
        )
        self.carrier_status = CarrierStatus(
            self.store, self.settings, environment.carriers, self.providers
        )
        self.credential_checks = CredentialChecks(
            self.settings,
            self.carrier_status,
            self.providers,
            self.channels,
            self.mailer,
            self.mailbox,
            self.media.backend,
        )
        self.probe_key = ProbeKey(environment.app_key)
        self.setup_checklist = SetupChecklist(
            self.store, self.settings, self.providers, self.channels, self.carrier_status
        )
        self.rule_trial = RuleTrial(
            self.store,
            self.settings,
            self.automatic,
            self.opt_outs,
            self.country,
            self.local_time,
        )
        self.contact_book = ContactBook(self.store, self.country)
        self.directory = ExtensionDirectory(self.store, self.settings)
        self.rule_warnings = RuleWarnings(self.store, self.settings)
        self.message_query = MessageQuery(self.store, self.access, self.country, self.local_time)
        self.why = Why(
            self.store,
            self.settings,
            self.router,
            self.access,
            self.providers,
            self.channels,
            self.message_query,
            self.carrier_status,
            self.stray_webhooks,
            self.local_time,
        )
        self.restore = Restore(
            self.store,
            self.outcomes,
            storage,
            self._open_copy,
            has_bucket=environment.bucket is not None,
        )
        self.migration = Migration(
            self.settings,
            self.contact_book,
            History(self.store, self.settings, self.opt_outs, self.media, self.http),
            Proofs(self.store, self.settings, self.composer, service.app_name),
            self.retention,
            self.country,
        )
        self.token_throttle = LoginThrottle(self.store, TOKENS)
        self.pairing_throttle = LoginThrottle(self.store, PAIRING)
        self.admin_auth = AdminAuth(LoginThrottle(self.store, PASSWORD), service.admin_password)

    def doctor(self, network: Network | None = None) -> Doctor:
        """The doctor, who reaches others by ``network``."""
        network = network or Network()
        environment = self.environment
        fetch = partial(served_certificate, connect=network.connect)
        certificate = OwnCertificate(self.store, environment.app_url, fetch)
        return Doctor(
            self.store,
            self.http,
            self.health,
            self.credential_checks,
            PublicAddress(environment, self.probe_key, certificate, self.proxies, network),
            Passage(environment.app_url, self.probe_key, self.providers, network),
            {
                **{one.name: one.title for one in self.providers.values()},
                **{one.name: one.title for one in self.channels.values()},
            },
        )

    @contextmanager
    def _open_copy(self, storage: Path) -> Iterator[tuple[Store, Outcomes]]:
        """The store and the outcomes of this installation on a copy of its storage folder."""
        service = replace(self.environment.service, storage_path=storage)
        copy = Gateway(replace(self.environment, service=service))
        try:
            copy.prepare()
            yield copy.store, copy.outcomes
        finally:
            copy.close()

    def new_worker(self) -> Worker:
        """A delivery worker with its periodic tasks; this process answers no carriers."""
        self.store.limits.extend(WORKER_SECONDS)
        overdue = OverdueMail(self.store, self.access, self.channels.values())
        tasks = (
            PeriodicTask(
                "index", 1.0, partial(housekeeping.index_messages, self.store), on_change=True
            ),
            PeriodicTask("count", 5.0, partial(statistics.count, self.store), on_change=True),
            PeriodicTask("mail overdue", 30.0, overdue.queue_mails, one_worker=True),
            PeriodicTask("recover", 900.0, self.recovery.recover_all),
            PeriodicTask(
                "reread",
                3600.0,
                Reread(self.store, self.replay).run,
                one_worker=True,
                again_after=1.0,
            ),
            PeriodicTask(
                "sweep", 3600.0, partial(housekeeping.remove_leftovers, self.store, self.media)
            ),
            PeriodicTask(
                "release",
                60.0,
                partial(self.assignments.release, self.router.give),
                one_worker=True,
            ),
            PeriodicTask(
                "send scheduled", 1.0, self.scheduling.release_due, again_after=RELEASE_SECONDS
            ),
            PeriodicTask(
                "send bulk", 1.0, self.bulk_release.release_due, again_after=RELEASE_SECONDS
            ),
            PeriodicTask(
                "clock", CHECK_SECONDS, partial(housekeeping.note_clock, self.store, self.http)
            ),
            PeriodicTask(
                "certificate",
                own_certificate.CHECK_SECONDS,
                self.own_certificate.check,
                one_worker=True,
            ),
            PeriodicTask("name", own_name.CHECK_SECONDS, self.own_name.check, one_worker=True),
            PeriodicTask("check", CHECK_SECONDS, self.audit.check, delayed=True, one_worker=True),
            PeriodicTask(
                "prune",
                3600.0,
                lambda: self.retention.prune(self.retention.ages()).more,
                again_after=retention.PAUSE_SECONDS,
            ),
        )
        return Worker(
            store=self.store,
            settings=self.settings,
            delivery=self.delivery,
            outcomes=self.outcomes,
            journal=self.journal,
            router=self.router,
            composer=self.composer,
            channels=self.channels.values(),
            mailbox=self._mailbox_poller(),
            inbox_leases=self.processor.lease_names,
            tasks=tasks,
            folder=self._run_folder,
        )

    def prepare(self) -> None:
        """Migrate the database and load Message Settings, moving their file into PostgreSQL.

        Without the sandbox, the tokens that its page has given out end.

        Raises ``StorageUnwell``, and ``SettingsError`` for a file that cannot be moved.
        """
        self.store.migrate()
        if Sandbox.name not in self.providers:
            self._end_sandbox_tokens()
        left = left_file(self.store, self.environment.service.storage_path.resolve())
        if left is not None:
            take_over(self.settings, left)
        self.settings.look()

    def _end_sandbox_tokens(self) -> None:
        made = self.store.read(devices.of_sandbox)
        if made:
            self.store.write(lambda tx: [devices.revoke(tx, device_id) for device_id in made])

    def close(self) -> None:
        """Close connections and files."""
        for channel in self.channels.values():
            if isinstance(channel, TwoWayChannel):
                channel.close()
        self.store.close()


def _media_backend(environment: Environment, http: Http) -> MediaBackend:
    storage = environment.service.storage_path.resolve()
    folder, bucket = Folder(storage / MEDIA), environment.bucket
    if bucket is None:
        return folder
    return Bucket(S3(bucket, http), cache=Folder(storage / "media-cache"), local=folder)


def _providers(
    environment: Environment, http: Http, settings: MessageSettings
) -> dict[str, Provider]:
    def is_ours(number: str) -> bool:
        return settings.for_number(number) is not None or settings.for_alias(number) is not None

    return {
        provider.name: provider(
            environment.carriers[provider.name],
            ProviderContext(
                http,
                environment.webhook_token(provider.name),
                _address_of(provider, environment),
                is_ours=is_ours,
            ),
        )
        for provider in PROVIDERS
        if provider.name in environment.carriers
    }


def _address_of(provider: type[Provider], environment: Environment) -> str:
    """Where a carrier reaches this server; the sandbox does so on this machine."""
    return environment.local_url if provider is Sandbox else environment.app_url


def _channels(environment: Environment, vapid: Vapid) -> dict[str, Channel]:
    context = ChannelContext(
        Http(),
        Http(public_only=True),
        vapid,
        PushHostPolicy(environment.service.push_hosts or ()),
        environment.app_url,
    )
    return {
        channel.name: channel(environment.channels[channel.name], context)
        for channel in CHANNELS
        if channel.name in environment.channels
    }


def _reply_addresses(environment: Environment) -> ReplyAddresses | None:
    """Signed addresses for answers to mails, where something takes the answers in."""
    asked = environment.mail_replies
    if asked.address is None or (environment.mailbox is None and asked.listen is None):
        return None
    return ReplyAddresses(derive(environment.app_key, "mail replies"), asked.address, asked.days)


def _domain(app_url: str) -> str:
    """The host name of the public address."""
    return app_url.partition("://")[2].partition("/")[0].rpartition("@")[2].split(":")[0]
