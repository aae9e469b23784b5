"""What happens: asked for (``sync``, waiting if wanted) or streamed (server-sent events)."""

import json
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import structlog
from flask import Response

from blueprints.api import auth
from blueprints.api.auth import Auth, caller, house
from blueprints.api.changes import Changes, changes_since
from blueprints.api.declare import Door
from blueprints.api.schemas.events import (
    EventHeaders,
    EventsQuery,
    SyncQuery,
    SyncSchema,
    TicketSchema,
)
from services.core.errors import StorageUnwell
from services.core.messages import Device
from services.gateway import Gateway

door = Door("events", "What happens, as it happens")
log = structlog.get_logger()
HEARTBEAT_SECONDS = 15.0
AT_ONCE = 100
# A phone that lost its network leaves its stream open for a while: the newest ones count.
MOST_STREAMS = 4
_streams: defaultdict[str, deque[object]] = defaultdict(partial(deque, maxlen=MOST_STREAMS))


@door.call("GET", "/sync", Auth.DEVICE, query=SyncQuery, answers={200: SyncSchema})
def sync(query: dict[str, Any]) -> dict[str, Any]:
    """What happened since the token of the last answer; waits up to `timeout` seconds for it.

    Without `since` the answer has no events but the token from which to go on. `reset` says that
    the token is none of this installation's: load the lists anew. A message may come as
    `message.updated` without having come as `message.created`: keep it by its id either way.
    """
    since = int(query["since"]) if "since" in query else None
    end = time.monotonic() + (query["timeout"] if since is not None else 0)
    notifier = house().store.notifier
    while True:
        heard = notifier.subscribe()
        found = changes_since(house(), caller(), since, query["limit"])
        if found is None:
            auth.refuse("invalid_token")
        left = end - time.monotonic()
        if found.events or found.reset or left <= 0 or house().stopping:
            return {
                "events": found.events,
                "next": str(found.next),
                "more": found.more,
                "reset": found.reset,
            }
        notifier.wait(left, heard)


@door.call(
    "GET",
    "/events",
    Auth.STREAM,
    query=EventsQuery,
    headers=EventHeaders,
    answers={200: {"type": "string"}},
    content_type="text/event-stream",
)
def stream_events(query: dict[str, Any], headers: dict[str, Any]) -> Response:
    """The same events as server-sent events: `event` is the type, `id` the token to resume from.

    Goes on after `Last-Event-ID`, or `since`, or from now on. `event: reset` says to load the lists
    anew. A comment comes every 15 seconds. A device has up to four streams; a fifth ends its
    oldest.
    """
    since = headers.get("last") or query.get("since")
    events = _stream(house(), caller(), int(since) if since is not None else None)
    answer = Response(events, mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


@door.call("POST", "/events/ticket", Auth.DEVICE, answers={201: TicketSchema})
def create_ticket() -> tuple[dict[str, Any], int]:
    """A ticket with which a browser opens `GET /events?ticket=`: it cannot send the token there.

    It is good for 60 seconds and for this device only.
    """
    ticket = auth.ticket(house(), caller().id)
    return {"ticket": ticket, "expires_in": auth.TICKET_SECONDS}, 201


def _stream(gateway: Gateway, device: Device, since: int | None) -> Iterator[str]:
    """Server-sent events until the device is revoked, has newer streams, or we are stopping."""
    this, streams = object(), _streams[device.id]
    streams.append(this)
    try:
        yield "retry: 3000\n\n"  # with it the headers leave, and the browser knows that it is open
        while this in streams and not gateway.stopping:
            heard = gateway.store.notifier.subscribe()
            found = changes_since(gateway, device, since, AT_ONCE)
            if found is None:
                return
            if since is None or found.reset:
                yield _start(found)
            yield from map(_written, found.events)
            since = found.next
            if not found.more and not gateway.store.notifier.wait(HEARTBEAT_SECONDS, heard):
                yield ": still here\n\n"
    except StorageUnwell as error:
        log.warning("event stream ended", device=device.id, reason=str(error))
    finally:
        if this in streams:
            streams.remove(this)


def _start(found: Changes) -> str:
    """Where the app goes on if the stream is cut before anything happens."""
    reset = "event: reset\ndata: {}\n" if found.reset else ""
    return f"id: {found.next}\n{reset}\n"


def _written(event: dict[str, Any]) -> str:
    return f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
