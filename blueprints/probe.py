"""Calls of the doctor by way of APP_URL: what the server saw of them, large bodies, a stream.

To everybody else these addresses do not exist. Nothing is stored.
"""

import time
from collections.abc import Iterator

from flask import Blueprint, Response, abort, jsonify, make_response, request

from blueprints.client_address import Callers
from services.operations.doctor.passage import FILM, STREAM_END
from services.operations.doctor.public_address import PATH
from services.operations.probe_key import HEADER, ProbeKey

CHUNK = 65_536
MOST_STREAM_SECONDS = 75


def is_probe(key: ProbeKey) -> bool:
    """Whether the current request is one of the doctor."""
    return key.is_valid(request.headers.get(HEADER, ""))


def blueprint(key: ProbeKey, callers: Callers) -> Blueprint:
    """The routes ``/probe``, ``/probe/body`` and ``/probe/stream``; ``callers`` notes nothing."""
    routes = Blueprint("probe", __name__, url_prefix=PATH)

    @routes.before_request
    def admit() -> None:
        offered = request.headers.get(HEADER, "")
        age = key.age(offered)
        if age is not None and not key.is_valid(offered):  # the clock of the doctor's machine
            abort(make_response({"proof": key.answer(offered), "age": int(age)}, 404))
        if age is None:
            abort(404)

    @routes.get("")
    def seen() -> Response:
        caller = callers.caller()
        return jsonify(
            proof=key.answer(request.headers[HEADER]),
            peer=str(caller.peer or ""),
            caller=str(caller.address or ""),
            direct=caller.is_direct,
        )

    @routes.post("/body")
    def body() -> Response:
        request.max_content_length = FILM + CHUNK
        size = 0
        while piece := request.stream.read(CHUNK):
            size += len(piece)
        return jsonify(bytes=size)

    @routes.get("/stream")
    def stream() -> Response:
        seconds = request.args.get("seconds", 0, int)
        pieces = _silent(min(max(seconds, 0), MOST_STREAM_SECONDS))
        answer = Response(pieces, mimetype="text/event-stream")
        answer.headers["X-Accel-Buffering"] = "no"  # as the API's own stream
        return answer

    @routes.after_request
    def fresh(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    return routes


def _silent(seconds: int) -> Iterator[str]:
    """A stream that begins at once and then says nothing until its end."""
    yield ": begin\n\n"
    time.sleep(seconds)
    yield STREAM_END
