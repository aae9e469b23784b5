"""FreeSWITCH channel: texts to and from desk phones, with a fake event socket that checks."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest

from services.config import variables
from services.core.errors import Kind, PushError, StorageUnwell
from services.core.messages import Device, Message, Notice
from services.delivery.inbound_channels import InboundChannel
from services.gateway import Gateway, load_environment
from services.http.client import Http
from services.push.base import ExtensionReachable
from services.push.freeswitch import channel as channel_module
from services.push.freeswitch.channel import FreeSwitch as Channel
from services.push.freeswitch.event_socket import EventSocket
from services.push.sip_text import PART_BYTES, split_for_sip
from services.store import circuit_breakers, job_leasing, jobs, messages, workers
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes import freeswitch
from tests.fakes.freeswitch import DOMAIN, FreeSwitch, Shown
from tests.message_steps import receive_call
from tests.postgres import free_port
from tests.push_files import inbound_notice as inbound
from tests.waiting import eventually

Make = Callable[..., Gateway]
DEVICE = Device(id="freeswitch:201", extension="201", channel="freeswitch")
SECOND = "+12025550101"


def file(file_id: str, state: str = "kept") -> dict[str, Any]:
    url = f"https://sms.example.com/media/{file_id}.png?exp=1&sig=x" if state == "kept" else None
    kind = {"content_type": "image/png", "size": 24_000}
    return {"id": file_id, "state": state, "url": url, "name": "a.png", **kind}


@pytest.fixture
def switch() -> Iterator[FreeSwitch]:
    with FreeSwitch() as running:
        yield running


@pytest.fixture
def opened() -> Iterator[Callable[..., Channel]]:
    made = []

    def make(switch: FreeSwitch, **env: str) -> Channel:
        settings, problems = variables.load(Channel.Settings, Channel.prefix, {**switch.env, **env})
        assert settings is not None, problems
        made.append(Channel(settings, Http()))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


Open = Callable[..., Channel]


def refused(channel: Channel, notice: Notice | None = None) -> PushError:
    with pytest.raises(PushError) as caught:
        channel.notify(DEVICE, notice or inbound())
    assert freeswitch.PASSWORD not in str(caught.value)
    return caught.value


# Settings


def test_an_fs_pbx_env_leaves_it_off_and_the_domain_turns_it_on() -> None:
    env = {"FS_ESL_IP": "127.0.0.1", "FS_ESL_PORT": "8021", "FS_ESL_PW": "ClueCon"}
    base = {"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}
    assert "freeswitch" not in load_environment(base | env).channels
    settings = load_environment(base | env | {"FS_SIP_DOMAIN": "PBX.example.com"}).channels[
        "freeswitch"
    ]
    assert (settings.sip_domain, settings.sip_profile) == (DOMAIN, "internal")
    assert "ClueCon" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FS_SIP_DOMAIN", "pbx@example.com"),
        ("FS_SIP_DOMAIN", "pbx.example.com\napi shutdown"),
        ("FS_SIP_PROFILE", "internal external"),
        ("FS_ESL_IP", "one two"),
        ("FS_ESL_PORT", "0"),
        ("FS_ESL_PW", "two\nlines"),
    ],
)
def test_what_would_break_the_protocol_is_refused(variable: str, value: str) -> None:
    settings, problems = variables.load(
        Channel.Settings, Channel.prefix, {"FS_SIP_DOMAIN": DOMAIN, variable: value}
    )
    assert settings is None
    assert [problem.variable for problem in problems] == [variable]


# Out


def test_a_text_comes_from_its_sender(switch: FreeSwitch, opened: Open) -> None:
    opened(switch).notify(DEVICE, inbound())
    assert switch.shown == [Shown("201", PEER, f"{PEER}: Are you open?")]


@pytest.mark.parametrize(
    "text",
    [
        "a|b|text/html",
        "one\n\ntwo\r\n",
        "Grüße 😀👩‍👩‍👧",
        "content-length: 3\n\nsendevent CUSTOM\n\n",
        "%41+1",
    ],
)
def test_a_text_arrives_as_it_was_written(switch: FreeSwitch, opened: Open, text: str) -> None:
    channel = opened(switch)
    channel.notify(DEVICE, inbound(text))
    channel.notify(DEVICE, inbound("next", id="msg_2"))
    assert [shown.text for shown in switch.shown] == [f"{PEER}: {text}", f"{PEER}: next"]


def test_half_a_character_and_a_nul_do_no_harm(switch: FreeSwitch, opened: Open) -> None:
    opened(switch).notify(DEVICE, inbound("a\x00b\ud83d"))
    assert switch.shown[0].text == f"{PEER}: a\ufffdb\ufffd"


def test_a_name_for_a_sender_becomes_an_address(switch: FreeSwitch, opened: Open) -> None:
    opened(switch).notify(DEVICE, inbound(**{"from": "M & S"}))
    assert switch.shown == [Shown("201", "M%20%26%20S", "M & S: Are you open?")]


@pytest.mark.parametrize(
    ("numbers", "to", "head"),
    [
        ((NUMBER,), [NUMBER], PEER),
        ((NUMBER, SECOND), [SECOND], f"{PEER} to {SECOND}"),
        ((NUMBER,), [NUMBER, "+14045550100"], f"{PEER} to you, +14045550100"),
        ((NUMBER, SECOND), [NUMBER, "+14045550100"], f"{PEER} to {NUMBER}, +14045550100"),
    ],
)
def test_the_user_sees_to_whom_it_came(
    switch: FreeSwitch, opened: Open, numbers: tuple[str, ...], to: list[str], head: str
) -> None:
    opened(switch).notify(DEVICE, inbound("hi", numbers=numbers, to=to))
    assert switch.shown[0].text == f"{head}: hi"


@pytest.mark.parametrize("text", ["word " * 500, "x" * 3000, "😀" * 900, "é" * 1500])
def test_a_long_text_comes_in_numbered_parts(switch: FreeSwitch, opened: Open, text: str) -> None:
    opened(switch).notify(DEVICE, inbound(text))
    parts = [shown.text for shown in switch.shown]
    assert len(parts) > 1
    heads = [f"({n}/{len(parts)}) " for n in range(1, len(parts) + 1)]
    assert all(part.startswith(head) for part, head in zip(parts, heads, strict=True))
    whole = "".join(part.removeprefix(head) for part, head in zip(parts, heads, strict=True))
    assert whole == f"{PEER}: {text}"
    assert all(len(part.encode()) <= PART_BYTES + 10 for part in parts)


def test_a_text_that_just_fits_is_one() -> None:
    assert len(split_for_sip("x" * PART_BYTES)) == 1
    assert len(split_for_sip("x" * (PART_BYTES + 1))) == 2
    assert split_for_sip("") == []


def test_a_picture_comes_as_a_link_of_its_own(switch: FreeSwitch, opened: Open) -> None:
    opened(switch).notify(DEVICE, inbound("look", media=[file("f1"), file("f2", "failed")]))
    assert [shown.text for shown in switch.shown] == [
        f"{PEER}: look",
        "Picture (PNG, 24.0 kB): https://sms.example.com/media/f1.png?exp=1&sig=x",
        "(A file did not come.)",
    ]


def test_a_picture_that_comes_later_comes_once(switch: FreeSwitch, opened: Open) -> None:
    channel = opened(switch)
    channel.notify(DEVICE, inbound("look", media=[file("f1", "pending")]))
    assert switch.shown[0].text == f"{PEER}: look\n(Downloading a file …)"
    later = inbound("look", media=[file("f1")], type="message.updated", id="msg_1_media")
    channel.notify(DEVICE, later)
    channel.notify(DEVICE, later)
    channel.notify(DEVICE, inbound("look", media=[file("f1")]))
    (shown,) = switch.shown[1:]
    assert shown.text.endswith(f": {file('f1')['url']}")


@pytest.mark.parametrize(
    ("status", "sent_by", "says"),
    [
        ("failed", "201", "Your text was not delivered. No such number. It was: Hello"),
        ("unknown", "201", "Your text may not have been sent. No such number."),
        ("failed", "202", None),
        ("sent", "201", None),
        ("delivered", "201", None),
    ],
)
def test_the_sender_is_told_of_a_failed_text(
    switch: FreeSwitch, opened: Open, status: str, sent_by: str, says: str | None
) -> None:
    told = inbound(
        "Hello",
        type="message.updated",
        direction="out",
        **{"from": NUMBER},
        to=[PEER],
        status=status,
        sent_by=sent_by,
        error={"code": "1", "reason": "No such number."},
    )
    opened(switch).notify(DEVICE, told)
    assert len(switch.shown) == (says is not None)
    for shown in switch.shown:
        assert shown.sender == PEER
        assert shown.text.startswith(str(says))


def test_a_phone_that_is_not_registered_is_not_texted(switch: FreeSwitch, opened: Open) -> None:
    switch.registered.clear()
    channel = opened(switch)
    error = refused(channel)
    assert (error.kind, error.code) == (Kind.RETRY, "user_not_registered")
    assert error.reason == "No phone of 201 is registered. It gets the text when one is."
    switch.register("201")
    channel.notify(DEVICE, inbound())
    assert len(switch.shown) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("404", Kind.REFUSED),
        ("405", Kind.REFUSED),
        ("415", Kind.REFUSED),
        ("488", Kind.REFUSED),
        ("0", Kind.RETRY),
        ("408", Kind.RETRY),
        ("480", Kind.RETRY),
        ("403", Kind.RETRY),
        ("500", Kind.RETRY),
        ("503", Kind.RETRY),
        ("", Kind.RETRY),
    ],
)
def test_what_follows_from_a_phones_answer(
    switch: FreeSwitch, opened: Open, answer: str, kind: Kind
) -> None:
    switch.answers.append(answer)
    channel = opened(switch)
    error = refused(channel)
    assert (error.kind, error.code, error.retry_after) == (kind, answer or None, None)
    assert ("FS_SIP_PROFILE" in error.reason) == (answer == "")
    channel.notify(DEVICE, inbound())
    assert len(switch.shown) == 1


def test_a_part_that_the_phone_has_is_not_sent_again(switch: FreeSwitch, opened: Open) -> None:
    switch.answers.extend(["200", "480"])
    channel = opened(switch)
    assert refused(channel, inbound("x" * 1500)).kind is Kind.RETRY
    channel.notify(DEVICE, inbound("x" * 1500))
    assert [shown.text[:6] for shown in switch.shown] == ["(1/3) ", "(2/3) ", "(3/3) "]


def test_a_report_that_never_comes_is_tried_again(
    switch: FreeSwitch, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "REPORT_SECONDS", 0.1)
    switch.answers.append(None)
    assert refused(opened(switch)).kind is Kind.RETRY


def test_a_phone_that_does_not_answer_keeps_no_other_waiting(
    switch: FreeSwitch, opened: Open
) -> None:
    switch.registered.add("202")
    switch.answers.append(None)
    channel = opened(switch)
    with ThreadPoolExecutor(1) as pool:
        hangs = pool.submit(channel.notify, DEVICE, inbound())
        while switch.answers:
            time.sleep(0.01)
        channel.notify(replace(DEVICE, extension="202"), inbound())
        assert [shown.extension for shown in switch.shown] == ["202"]
        switch.drop()
        with pytest.raises(PushError) as caught:
            hangs.result(10)
    assert caught.value.kind is Kind.RETRY


def test_a_broken_connection_is_made_anew(switch: FreeSwitch, opened: Open) -> None:
    channel = opened(switch)
    channel.notify(DEVICE, inbound())
    channel.notify(DEVICE, inbound(id="msg_2"))
    assert switch.logins == 1
    connection = channel._connection
    switch.drop()
    while connection is not None and not connection.lost:
        time.sleep(0.01)
    channel.notify(DEVICE, inbound(id="msg_3"))
    assert (switch.logins, len(switch.shown)) == (2, 3)


def test_what_the_operator_must_mend_is_said(switch: FreeSwitch, opened: Open) -> None:
    switch.password = "another one"
    error = refused(opened(switch))
    assert error.kind is Kind.CONFIG
    assert error.reason.endswith("refuses the password in FS_ESL_PW.")
    switch.welcome = False
    error = refused(opened(switch))
    assert (error.kind, "apply-inbound-acl" in error.reason) == (Kind.CONFIG, True)
    switch.welcome, switch.password = True, freeswitch.PASSWORD
    switch.modules.remove("mod_sms")
    channel = opened(switch)
    error = refused(channel)
    assert (error.kind, "load mod_sms" in error.reason) == (Kind.CONFIG, True)
    switch.modules.add("mod_sms")
    channel.notify(DEVICE, inbound())


def test_a_freeswitch_that_is_not_there_pauses_the_channel(
    switch: FreeSwitch, opened: Open
) -> None:
    error = refused(opened(switch, FS_ESL_PORT=str(free_port())))
    assert (error.kind, error.retry_after) == (Kind.RETRY, 10.0)


def test_a_freeswitch_that_hangs_is_not_waited_for_for_ever(
    switch: FreeSwitch, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.push.freeswitch.event_socket.ANSWER_SECONDS", 0.2)
    channel = opened(switch)
    channel.notify(DEVICE, inbound())
    switch.mute = True
    assert refused(channel, inbound(id="msg_2")).kind is Kind.RETRY
    switch.mute = False
    channel.notify(DEVICE, inbound(id="msg_2"))
    assert len(switch.shown) == 2


# In


def inbound_texts(channel: Channel, switch: FreeSwitch, *happen: Callable[[], None]) -> list[Any]:
    """What a listener makes of what happens, up to a registration that ends it."""
    listening = channel.inbound_events()
    assert next(listening) is None
    for one in happen:
        one()
    switch.register("end")
    found = []
    for happening in listening:
        if happening == ExtensionReachable("end"):
            listening.close()
            return found
        if happening is not None:
            found.append(happening)
    raise AssertionError("the listener ended")


def test_a_text_from_a_phone_is_heard(switch: FreeSwitch, opened: Open) -> None:
    body = "Até logo|50% + 1\nok 😀"
    (wrote,) = inbound_texts(opened(switch), switch, lambda: switch.text("201", PEER, body))
    assert (wrote.extension, wrote.to, wrote.text) == ("201", PEER, body)


def test_everybody_hears_a_text_by_the_same_name_and_each_by_its_own(
    switch: FreeSwitch, opened: Open
) -> None:
    first, second = opened(switch).inbound_events(), opened(switch).inbound_events()
    assert [next(first), next(second)] == [None, None]
    switch.text("201", PEER, "same")
    switch.text("201", PEER, "same")
    names = [[next(e).id for _ in range(2)] for e in (first, second)]  # type: ignore[union-attr]
    assert names[0] == names[1]
    assert len(set(names[0])) == 2
    first.close()
    second.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "application/im-iscomposing+xml"},
        {"type": "message/imdn+xml"},
        {"type": "application/xml"},
        {"body": " \r\n"},
        {"sip_profile": "external"},
        {"from_host": "evil.example.com"},
        {"to": "202"},
    ],
    ids=str,
)
def test_what_is_no_text_to_the_outside_is_left_alone(
    switch: FreeSwitch, opened: Open, changes: dict[str, str]
) -> None:
    to, body = changes.pop("to", PEER), changes.pop("body", "hi")
    assert (
        inbound_texts(opened(switch), switch, lambda: switch.text("201", to, body, **changes)) == []
    )


@pytest.mark.parametrize(
    ("dialled", "to"),
    [("%2B13035550177", PEER), ("3035550177;phone-context=x", "3035550177"), ("72404", "72404")],
)
def test_what_was_dialled_is_understood(
    switch: FreeSwitch, opened: Open, dialled: str, to: str
) -> None:
    (wrote,) = inbound_texts(opened(switch), switch, lambda: switch.text("201", dialled, "hi"))
    assert wrote.to == to


def test_nobody_can_smuggle_in_a_command(switch: FreeSwitch, opened: Open) -> None:
    evil = "1 x\n\napi shutdown"
    (wrote,) = inbound_texts(opened(switch), switch, lambda: switch.text("201", evil, "hi"))
    channel = opened(switch)
    channel.report_refusal(replace(wrote, extension="201"), "No.\r\nX: y")
    (shown,) = switch.wait_shown(1)
    assert "\n" not in shown.sender


def test_no_line_break_gets_into_a_command(switch: FreeSwitch, opened: Open) -> None:
    connection = EventSocket("127.0.0.1", switch.port, freeswitch.PASSWORD, lambda _: None)
    headers = opened(switch)._headers("201", PEER)
    connection.send_event("CUSTOM", headers | {"X-Name": "a\r\n\nsendevent CUSTOM\n\nb"}, "text")
    assert connection.api("uptime\n\napi shutdown").startswith("-ERR")
    connection.close()
    assert [shown.text for shown in switch.shown] == ["text"]
    assert switch.faults == ["api uptime api shutdown"]
    switch.faults.clear()


def test_a_registration_elsewhere_is_not_ours(switch: FreeSwitch, opened: Open) -> None:
    def elsewhere() -> None:
        headers = {"Event-Subclass": "sofia::register", "from-user": "201", "from-host": "x.org"}
        switch.fire("CUSTOM sofia::register", headers)

    assert inbound_texts(opened(switch), switch, elsewhere, lambda: switch.register("201")) == [
        ExtensionReachable("201")
    ]


def test_a_lost_connection_is_told(switch: FreeSwitch, opened: Open) -> None:
    listening = opened(switch).inbound_events()
    next(listening)
    switch.drop()
    with pytest.raises(PushError):
        list(listening)


# With the gateway


class Listeners:
    """Listeners, as workers run them."""

    def __init__(self) -> None:
        self.alive = True
        self._threads: list[Thread] = []

    def open(self, gateway: Gateway, name: str = "w1") -> None:
        gateway.store.write(lambda tx: workers.beat(tx, name, time.time()))
        channel = gateway.channels["freeswitch"]
        assert isinstance(channel, Channel)
        listening = InboundChannel(gateway.store, gateway.composer, channel, name)
        self._threads.append(Thread(target=listening.run, args=(lambda: self.alive,)))
        self._threads[-1].start()

    def close(self) -> None:
        self.alive = False
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    running = Listeners()
    yield running
    running.close()


def message(text: str, number: str = NUMBER) -> Message:
    return Message(direction="in", number=number, peer=PEER, text=text)


def stored_messages(gateway: Gateway) -> list[Message]:
    return gateway.store.read(lambda tx: messages.find(tx, limit=100))


def test_two_workers_keep_a_text_once_and_refuse_it_once(
    make_gateway: Make, switch: FreeSwitch, listeners: Listeners, database: str
) -> None:
    switch.registered.add("203")
    gateways = [make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **switch.env) for _ in range(2)]
    for number, gateway in enumerate(gateways):
        listeners.open(gateway, f"w{number}")
    switch.wait_listeners(2)
    for _ in range(3):
        switch.text("201", PEER, "Until six")
    switch.text("203", PEER, "I have no number")
    switch.text("201", "nobody", "Hello")
    switch.text("201", "911", "Help")
    shown = {(s.extension, s.sender): s.text for s in switch.wait_shown(3)}
    assert shown["201", "911"] == (
        "Not sent to 911: Textbridge cannot send texts to emergency services. Call 911."
    )
    assert shown["203", PEER].startswith(f"Not sent to {PEER}: Extension 203 has no number yet.")
    assert shown["201", "nobody"].startswith("Not sent to nobody: Nobody can reply to “nobody”")
    listeners.close()
    assert len(switch.shown) == 3
    assert [(m.text, m.number, m.peer, m.extension) for m in stored_messages(gateways[0])] == [
        ("Until six", NUMBER, PEER, "201")
    ] * 3


def test_a_text_over_the_limit_is_refused_in_the_phone(
    make_gateway: Make, switch: FreeSwitch, listeners: Listeners
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, SEND_PER_DAY="1", **switch.env)
    listeners.open(gateway)
    switch.wait_listeners()
    switch.text("201", PEER, "one")
    switch.text("201", PEER, "two")
    (shown,) = switch.wait_shown(1)
    assert "Extension 201 may send 1 message a day. Try again in 24 hours." in shown.text
    assert [each.text for each in stored_messages(gateway)] == ["one"]


def test_the_number_last_used_with_a_peer_answers(
    make_gateway: Make, switch: FreeSwitch, listeners: Listeners
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, NUMBER_ENTRY | {"number": SECOND}, **switch.env)
    provider = gateway.providers["sandbox"]
    receive_call(gateway, provider, provider.example(message("hi", SECOND)))
    listeners.open(gateway)
    switch.wait_listeners()
    switch.text("201", PEER, "hello")
    eventually(lambda: len(stored_messages(gateway)) == 2)
    assert {text.number for text in stored_messages(gateway)} == {SECOND}


def test_waiting_texts_are_due_when_an_extension_registers(
    make_gateway: Make, switch: FreeSwitch, listeners: Listeners, database: str
) -> None:
    switch.registered.clear()
    desk = NUMBER_ENTRY | {"extensions": ["201", "202"]}
    gateway = make_gateway(desk, DATABASE_URL=database, **switch.env)
    listeners.open(gateway)
    switch.wait_listeners()
    provider = gateway.providers["sandbox"]
    receive_call(gateway, provider, provider.example(message("hi")))
    gateway.delivery.deliver("w1", lambda _: 8, gateway.delivery.perform)
    (text,) = stored_messages(gateway)

    def due() -> dict[str, float]:
        found = gateway.store.read(lambda tx: jobs.of(tx, text.id))
        return {job.target: job.due for job in found if job.state == "due"}

    def later(tx: Any) -> None:
        tx.execute(jobs.update(jobs.jobs).values(due=time.time() + 5000))

    gateway.store.write(later)
    switch.register("201")
    eventually(lambda: due()["freeswitch:201"] < time.time() + 10)
    assert due()["freeswitch:202"] > time.time() + 1000

    switch.drop()  # no event of registrations from now on
    eventually(lambda: due()["freeswitch:202"] < time.time() + 10)


def test_a_wrong_password_is_shown_until_it_is_corrected(
    make_gateway: Make, switch: FreeSwitch, listeners: Listeners
) -> None:
    switch.password = "another one"
    gateway = make_gateway(NUMBER_ENTRY, **switch.env)
    listeners.open(gateway)
    (pause,) = eventually(lambda: gateway.store.read(circuit_breakers.unwell))
    assert (pause.name, pause.config) == ("push:freeswitch", True)
    assert pause.reason.endswith("refuses the password in FS_ESL_PW.")
    switch.password = freeswitch.PASSWORD
    eventually(lambda: not gateway.store.read(circuit_breakers.unwell))


def test_a_listener_comes_back_and_goes_on(
    make_gateway: Make, switch: FreeSwitch, listeners: Listeners
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **switch.env)
    listeners.open(gateway)
    switch.wait_listeners()
    switch.stop()
    eventually(lambda: gateway.store.read(circuit_breakers.unwell))
    switch.come_back()
    switch.wait_listeners()
    switch.text("201", PEER, "Still here")
    eventually(lambda: stored_messages(gateway))


def test_texts_made_due_stay_in_order(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, FS_SIP_DOMAIN=DOMAIN)
    provider = gateway.providers["sandbox"]
    for text in ("one", "two"):
        receive_call(gateway, provider, provider.example(message(text)))

    def long_ago(tx: Any) -> None:
        held = {"hold_until": time.time() - 5000, "due": time.time() + 5000}
        tx.execute(jobs.update(jobs.jobs).values(held))

    def claimed(tx: Any) -> int:
        return len(job_leasing.lease(tx, "w", "push:freeswitch", 8, time.time() + 0.1))

    gateway.store.write(long_ago)
    gateway.store.write(lambda tx: jobs.make_all_due(tx, "push:freeswitch", "freeswitch:201", 0.0))
    assert [gateway.store.write(claimed) for _ in range(2)] == [1, 0]


@pytest.mark.parametrize(("failures", "keeps"), [(1, True), (2, False)])
def test_a_text_is_kept_as_soon_as_the_database_is_well(
    make_gateway: Make,
    switch: FreeSwitch,
    listeners: Listeners,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    keeps: bool,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **switch.env)
    submit, left = gateway.composer.submit, ["unwell"] * failures

    def unwell(*arguments: Any) -> Any:
        if left:
            raise StorageUnwell(left.pop())
        return submit(*arguments)

    monkeypatch.setattr(gateway.composer, "submit", unwell)
    monkeypatch.setattr(Channel, "keep_seconds", 1.0)
    listeners.open(gateway)
    switch.wait_listeners()
    switch.text("201", PEER, "Hello")
    if keeps:
        assert eventually(lambda: stored_messages(gateway))[0].text == "Hello"
    else:
        (shown,) = switch.wait_shown(1)
        assert "Please send it again later." in shown.text
        assert stored_messages(gateway) == []


def test_only_the_youngest_worker_that_lives_answers(make_gateway: Make) -> None:
    store = make_gateway().store
    now = time.time()
    for name, began in (("old", now - 9), ("young", now - 5), ("dead", now - 100)):
        store.write(lambda tx, n=name, at=began: workers.beat(tx, n, at))
    assert {
        name: store.read(lambda tx, n=name: workers.is_youngest(tx, n))
        for name in ("old", "young", "dead")
    } == {"old": False, "young": True, "dead": False}
