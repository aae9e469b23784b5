"""The scripted SIP server as a PBX: the account's variables, texts of phones, registrations."""

from uuid import uuid4

from services.push.sip.sip_message import Request, Response
from tests.fakes.sip_server import DOMAIN, PASSWORD, USER, Answer, SipServer
from tests.waiting import PATIENCE, eventually


class SipPbx(SipServer):
    """A PBX at which Textbridge has an account."""

    def env(self, transport: str = "udp", **changes: str) -> dict[str, str]:
        """The variables that lead here."""
        return {
            "SIP_SERVER": f"127.0.0.1:{self.port}",
            "SIP_TRANSPORT": transport,
            "SIP_DOMAIN": DOMAIN,
            "SIP_USERNAME": USER,
            "SIP_PASSWORD": PASSWORD,
            "SIP_EXTENSION_HEADER": "X-SMS-From",
            **changes,
        }

    def answer(self, *statuses: int, **headers: str) -> None:
        """What the next texts get, in turn."""
        written = {name.replace("_", "-"): value for name, value in headers.items()}
        self.script("MESSAGE", *(Answer(status, written) for status in statuses))

    @property
    def texts(self) -> list[Request]:
        """Every text that was sent here; a retransmission counts as well."""
        return [received.request for received in self.of("MESSAGE")]

    @property
    def is_registered(self) -> bool:
        """Whether the account is registered."""
        registers = self.of("REGISTER")
        return bool(registers) and registers[-1].header("expires") != "0"

    def text(
        self,
        text: str = "Until six",
        *,
        to: str = "+13035550177",
        sender: str = "201",
        seconds: float = PATIENCE,
        **headers: str,
    ) -> Response:
        """Send a text of an extension to the account; ``headers`` replace others. Its answer."""
        branch = f"z9hG4bK{uuid4().hex}"
        usual = {
            "From": f"<sip:{sender}@{DOMAIN}>;tag={uuid4().hex}",
            "To": f"<sip:{to}@{DOMAIN}>",
            "X_SMS_From": sender,
        }
        self.ask("MESSAGE", text, branch, **{**usual, **headers})
        found: Response = eventually(
            lambda: next(
                (each for each in self.responses if each.vias[0].branch == branch),
                None,
            ),
            seconds,
        )
        return found

    def aim_at_account_of(self, other: "SipPbx") -> None:
        """Send by UDP to the account that is registered at another PBX."""
        contact = other.of("REGISTER")[-1].request.addresses("contact")[0].uri
        assert contact.port is not None
        self.send_to((contact.host, contact.port))

    def notify_registered(self, extension: str, other: str = "") -> None:
        """Tell who has subscribed to an extension that it, or another address, has a phone now."""
        address = f"sip:{extension}@{DOMAIN}"
        subscribed = next(s for s in self.wait("SUBSCRIBE") if s.request.uri == address)
        told = other or address
        body = (
            '<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" '
            f'state="full"><registration aor="{told}" id="a" state="active"><contact id="c" '
            f'state="active" event="registered"><uri>{address}</uri></contact></registration>'
            "</reginfo>"
        )
        asked = self.ask(
            "NOTIFY",
            body,
            From=f"<{address}>;tag=server",
            To=subscribed.header("from"),
            Call_ID=subscribed.header("call-id"),
            Event="reg",
            Subscription_State="active",
            Content_Type="application/reginfo+xml",
        )
        assert self.answer_to(asked).status == 200
