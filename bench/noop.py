"""No-op baseline: a Flask application that parses a webhook's JSON and answers 200.

Served like Textbridge: ``gunicorn -c bench/noop.py bench.noop:app`` with the same worker class,
the same number of web processes and the same keep-alive.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

from flask import Flask, Response, request  # noqa: E402
from gevent.server import StreamServer  # noqa: E402

StreamServer.max_accept = 1

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gevent"
worker_connections = 2000
keepalive = 15
control_socket_disable = True
loglevel = "warning"

app = Flask(__name__)


@app.post("/webhook/<carrier>/sms")
def receive(carrier: str) -> Response:
    """Parse the body and acknowledge it."""
    request.get_json()
    return Response("", 200)
