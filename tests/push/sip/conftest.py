"""Fixtures of the SIP tests: a scripted server, and user agents that are closed at the end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from services.core.errors import PushError
from services.push.sip.account import DEFAULT_TIMES, SipAccount
from services.push.sip.events import IncomingMessage, Registered, SipEvent
from services.push.sip.user_agent import UserAgent
from tests.fakes.sip_server import SipServer
from tests.waiting import eventually

QUICK = replace(
    DEFAULT_TIMES, stable=0.0, t1=0.2, t2=0.4, transaction=8.0, register=4.0, connect=4.0
)


class Serving:
    """A user agent that serves in a thread; ``answer`` is what every text gets, 0 for nothing."""

    def __init__(self, agent: UserAgent, watch: tuple[Any, ...] = ()) -> None:
        self.agent = agent
        self.answer = 200
        self.events: list[SipEvent] = []
        self.error: PushError | None = None
        self._watch = watch
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def texts(self) -> list[str]:
        """The texts that came in."""
        return [event.text for event in self.events if isinstance(event, IncomingMessage)]

    @property
    def registrations(self) -> list[Registered]:
        """When the account was registered."""
        return [event for event in self.events if isinstance(event, Registered)]

    def wait_registered(self, times: int = 1) -> None:
        """Wait until it is registered."""
        eventually(lambda: self.error or len(self.registrations) >= times)
        if self.error:
            raise self.error

    def stop(self) -> None:
        """Stop serving: the registration ends."""
        self._stop.set()
        self.agent._hand_out(None)  # so that it does not wait for its next look
        self._thread.join(60)

    def _run(self) -> None:
        serving = self.agent.serve(self._watch)
        try:
            for event in serving:
                if event is not None:
                    self.events.append(event)
                if isinstance(event, IncomingMessage) and self.answer:
                    event.answer(self.answer)
                if self._stop.is_set():
                    return
        except PushError as error:
            self.error = error
        finally:
            serving.close()


@pytest.fixture
def server() -> Iterator[SipServer]:
    with SipServer() as running:
        yield running


@pytest.fixture
def open_agent() -> Iterator[Callable[..., UserAgent]]:
    """Make user agents; ``times`` are changes of the short times that tests use."""
    opened = []

    def make(account: SipAccount, **times: float) -> UserAgent:
        opened.append(UserAgent(account, replace(QUICK, **times)))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for agent in opened:
        agent.close()


@pytest.fixture
def serve(open_agent: Callable[..., UserAgent]) -> Iterator[Callable[..., Serving]]:
    """Make user agents that serve, and are registered."""
    running = []

    def make(account: SipAccount, watch: tuple[Any, ...] = (), **times: float) -> Serving:
        running.append(Serving(open_agent(account, **times), watch))
        running[-1].wait_registered()
        return running[-1]

    yield make
    for each in running:
        each.stop()
