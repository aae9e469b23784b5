"""Changes by long polling (``sync``) or as server-sent events."""

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import structlog
from flask import Response

from blueprints.api.auth import TICKET_SECONDS, ApiAuth, Auth, caller, refuse
from blueprints.api.changes import ChangeLog, Changes
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.events import (
    EventHeaders,
    EventsQuery,
    SyncQuery,
    SyncSchema,
    TicketSchema,
)
from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import Device
from services.store.database.notifier import Notifier

log = structlog.get_logger()
HEARTBEAT_SECONDS = 15.0
AT_ONCE = 100
# A phone that lost its network leaves its stream open for a while: the oldest ones end.
MOST_STREAMS = 4
# Streams and waiting ``sync`` calls of a device in one process, those included that end soon.
MOST_OPEN = 16
OPEN_RETRY_SECONDS = 5.0
_streams: defaultdict[str, deque[object]] = defaultdict(partial(deque, maxlen=MOST_STREAMS))
_open: defaultdict[str, set[object]] = defaultdict(set)


class Events(Resource):
    """Changes of an extension, by long polling or as a stream."""

    name = "events"
    description = "What happens, as it happens"

    def __init__(
        self, changes: ChangeLog, auth: ApiAuth, notifier: Notifier, is_stopping: Callable[[], bool]
    ) -> None:
        self._changes = changes
        self._auth = auth
        self._notifier = notifier
        self._is_stopping = is_stopping

    @call("GET", "/sync", Auth.DEVICE, query=SyncQuery, answers={200: SyncSchema})
    def sync(self, query: dict[str, Any]) -> dict[str, Any]:
        """What happened since the token of the last answer; waits up to `timeout` seconds for it.

        Without `since` the answer has no events but the token from which to go on. `reset` says
        that the token is none of this installation's: load the lists anew. A message may come as
        `message.updated` without having come as `message.created`: keep it by its id either way.
        """
        since = int(query["since"]) if "since" in query else None
        seconds = query["timeout"] if since is not None else 0
        if not seconds:
            return self._wait(since, query["limit"], 0)
        release = _hold_open(caller().id)
        try:
            return self._wait(since, query["limit"], seconds)
        finally:
            release()

    def _wait(self, since: int | None, limit: int, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            version = self._notifier.subscribe()
            found = self._changes.since(caller(), since, limit)
            if found is None:
                refuse("invalid_token")
            left = end - time.monotonic()
            if found.events or found.reset or left <= 0 or self._is_stopping():
                return {
                    "events": found.events,
                    "next": str(found.next),
                    "more": found.more,
                    "reset": found.reset,
                }
            self._notifier.wait(left, version)

    @call(
        "GET",
        "/events",
        Auth.STREAM,
        query=EventsQuery,
        headers=EventHeaders,
        answers={200: {"type": "string"}},
        content_type="text/event-stream",
    )
    def stream_events(self, query: dict[str, Any], headers: dict[str, Any]) -> Response:
        """The same events as server-sent events: `event` is the type, `id` the token to go on from.

        Goes on after `Last-Event-ID`, or `since`, or from now on. `event: reset` says to load the
        lists anew. A comment comes every 15 seconds. A device has up to four streams; a fifth ends
        its oldest. More than 16 streams and waiting `sync` calls at once are refused.
        """
        since = headers.get("last") or query.get("since")
        release = _hold_open(caller().id)
        events = self._stream(caller(), int(since) if since is not None else None)
        answer = Response(events, mimetype="text/event-stream")
        answer.call_on_close(release)  # also where the stream was never begun
        answer.headers["X-Accel-Buffering"] = "no"
        return answer

    @call("POST", "/events/ticket", Auth.DEVICE, answers={201: TicketSchema})
    def create_events_ticket(self) -> tuple[dict[str, Any], int]:
        """A ticket for a browser to open `GET /events?ticket=`: it cannot send the token there.

        It is good for 60 seconds and for this device only.
        """
        ticket = self._auth.ticket(caller().id)
        return {"ticket": ticket, "expires_in": TICKET_SECONDS}, 201

    def _stream(self, device: Device, since: int | None) -> Iterator[str]:
        """Server-sent events until the device is revoked or has newer streams, or at shutdown."""
        this, streams = object(), _streams[device.id]
        streams.append(this)
        try:
            yield "retry: 3000\n\n"  # sends the headers, so that the browser knows that it is open
            while this in streams and not self._is_stopping():
                version = self._notifier.subscribe()
                found = self._changes.since(device, since, AT_ONCE)
                if found is None:
                    return
                if since is None or found.reset:
                    yield _start(found)
                yield from map(_written, found.events)
                since = found.next
                if not found.more and not self._notifier.wait(HEARTBEAT_SECONDS, version):
                    yield ": still here\n\n"
        except StorageUnwell as error:
            log.warning("event stream ended", device=device.id, reason=str(error))
        finally:
            if this in streams:
                streams.remove(this)


def _hold_open(device_id: str) -> Callable[[], None]:
    """Count a call that stays open; returns what ends it. Raises ``RequestRefused`` (429)."""
    this, held = object(), _open[device_id]
    if len(held) >= MOST_OPEN:
        log.warning("limit reached", name=f"open:{device_id}", most=MOST_OPEN)
        raise RequestRefused(
            "limit_reached",
            f"This device has {MOST_OPEN} open calls that wait for news. Close some, then try "
            "again.",
            status=429,
            retry_after=OPEN_RETRY_SECONDS,
        )
    held.add(this)
    return partial(held.discard, this)


def _start(found: Changes) -> str:
    """The id from which the app continues if the stream breaks before the first event."""
    reset = "event: reset\ndata: {}\n" if found.reset else ""
    return f"id: {found.next}\n{reset}\n"


def _written(event: dict[str, Any]) -> str:
    return f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
