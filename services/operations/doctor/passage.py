"""The doctor's look at what a web server in front lets through: large bodies, streams, webhooks.

It runs after ``PublicAddress`` has found that APP_URL leads to this installation, as webhooks are
called with their secrets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from services.core.durations import in_words
from services.core.errors import TextbridgeError
from services.core.messages import Message, WebhookCall
from services.http.client import Answer, Http, NoAnswer
from services.operations.doctor.diagnosis import Diagnosis, broken, ok, warning
from services.operations.doctor.network import Network
from services.operations.doctor.public_address import PATH
from services.operations.probe_key import HEADER, ProbeKey
from services.providers.base import Provider
from services.providers.proofs import NoSigningKey
from services.providers.sandbox import Sandbox

SECONDS = 30.0
PICTURE, FILM = 4_000_000, 25_000_000  # bytes: what MMS needs, and the largest file of the API
STREAM_END = ": end\n\n"
# Numbers of nobody (the North American plan keeps 555-01XX for such use); nothing is stored.
EXAMPLE = Message(direction="in", number="+12025550100", peer="+12025550101", text="probe")


class Passage:
    """Sends bodies, opens a stream and calls the webhooks by way of APP_URL."""

    def __init__(
        self, app_url: str, key: ProbeKey, providers: Mapping[str, Provider], network: Network
    ) -> None:
        self._url = app_url
        self._key = key
        self._providers = [one for one in providers.values() if not isinstance(one, Sandbox)]
        self._http = Http(connect=network.connect)

    def bodies(self) -> Iterator[Diagnosis]:
        """Whether files of the phone app are let through."""
        for size, what in ((PICTURE, "a picture"), (FILM, "a film")):
            megabytes = f"{size // 1_000_000} MB"
            try:
                answer = self._post(f"{self._url}{PATH}/body", bytes(size))
            except TextbridgeError as error:
                reason = f"An upload of {megabytes} ({what}) does not go through: {error}"
                yield warning("body", reason, "Raise the time-outs of the web server.")
                return
            if not answer.ok:
                reason = f"The web server refuses uploads of {megabytes} ({answer.status}): {what}."
                remedy = "Set client_max_body_size 26m; in nginx, or its like in another server."
                make = broken if size == PICTURE else warning
                yield make("body", reason, remedy)
                return
        yield ok("body", f"Uploads of {FILM // 1_000_000} MB go through.")

    def stream(self, seconds: int) -> Iterator[Diagnosis]:
        """Whether a stream arrives at once, and stays open for so long without a word."""
        address = f"{self._url}{PATH}/stream?seconds={seconds}"
        cut = f"A live stream is cut off within {seconds} seconds of silence."
        longer = "Set proxy_read_timeout 75s; in nginx, or its like in another server."
        try:
            answer, first = self._http.first_byte(
                address, headers={HEADER: self._key.token()}, seconds=seconds + SECONDS
            )
        except NoAnswer:
            yield broken("stream", cut, longer)
            return
        except TextbridgeError as error:
            reason = f"A live stream cannot be opened: {error}"
            yield broken("stream", reason, "Let the web server pass /probe/ and /api/v1/events on.")
            return
        if answer.status == 504 or not answer.body.decode("latin-1").endswith(STREAM_END):
            yield broken("stream", cut, longer)
        elif first > seconds / 2:
            yield broken(
                "stream",
                "The web server holds live streams back: the phone app sees new texts late.",
                "Turn its buffering off for /api/v1/events: proxy_buffering off; in nginx, and do "
                "not let it ignore X-Accel-Buffering.",
            )
        else:
            held = in_words(seconds)
            yield ok("stream", f"A live stream arrives at once and stays open for {held}.")

    def webhooks(self) -> Iterator[Diagnosis]:
        """What each carrier's webhook answers to a call with and without the right proof."""
        for provider in self._providers:
            yield self._webhook(provider)

    def _webhook(self, provider: Provider) -> Diagnosis:
        name, title = f"webhook:{provider.name}", f"The webhook of {provider.title}"
        size = provider.most_body_bytes - 1_000
        try:
            refused = self._call(provider, _large(provider.inbound_call(EXAMPLE), size))
            if refused.status == 413:
                reason = f"{title} is closed to calls of {size // 1000} kB by the web server (413)."
                remedy = "Raise client_max_body_size for /webhook/ in nginx, see docs/deploy.md."
                return broken(name, reason, remedy)
            if refused.status != 401:
                reason = f"{title} answers {refused.status} to a call without its secret, not 401."
                return broken(name, reason, f"Let the web server pass {_path(provider)} on.")
            proven = self._call(provider, provider.example(EXAMPLE))
        except NoSigningKey:
            only = "refuses a call without a signature, as it should; only it can sign a right one"
            return ok(name, f"{title} is reached and {only}.")
        except TextbridgeError as error:
            reason = f"{title} is not reached by way of APP_URL: {error}"
            return broken(name, reason, f"Let the web server pass {_path(provider)} on.")
        if proven.ok:
            return ok(name, f"{title} takes a call with its secret, and refuses one without it.")
        return broken(
            name,
            f"{title} refuses a call with the right secret ({proven.status}).",
            "Let the web server leave query string, body and the header Authorization as they are.",
        )

    def _call(self, provider: Provider, call: WebhookCall) -> Answer:
        """Call a webhook as its carrier does, with the token that keeps it from being stored."""
        query = f"?{call.query}" if call.query else ""
        return self._http.request(
            call.method,
            f"{provider.webhook_address}{query}",
            headers={**call.headers, HEADER: self._key.token()},
            data=call.body,
            seconds=SECONDS,
        )

    def _post(self, url: str, body: bytes) -> Answer:
        headers = {HEADER: self._key.token(), "Content-Type": "application/octet-stream"}
        return self._http.request("POST", url, headers=headers, data=body, seconds=SECONDS)


def _large(call: WebhookCall, size: int) -> WebhookCall:
    """The call with a body of so many bytes, if it has one."""
    return replace(call, body=call.body.ljust(size)) if call.method == "POST" else call


def _path(provider: Provider) -> str:
    return f"/webhook/{provider.name}/sms"
