"""``flask worker``: runs a delivery worker, beside the server's own or instead of it."""

import signal
from threading import Event

import click
import gevent

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command
from services.config.logging import configure


@command("worker")
def worker() -> None:
    """Run a delivery worker by itself.

    The server has one already, unless DELIVERY_WORKER=false; this is for more of them, as on other
    machines with PostgreSQL.
    Ctrl-C or SIGTERM ends it when what it has in hand is done.
    """
    configure(parts().environment)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    click.echo("The delivery worker runs. Ctrl-C ends it.", err=True)
    parts().new_worker().run(alive=lambda: not stop.is_set(), beat=lambda: None)
    parts().close()
    click.echo("The delivery worker has ended.", err=True)
