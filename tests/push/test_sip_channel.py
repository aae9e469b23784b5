"""SIP channel: texts to phones and from them, with a scripted PBX."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from services.config import variables
from services.core.errors import Kind, PushError, StorageUnwell
from services.core.messages import Device
from services.delivery import inbound_channels
from services.delivery.inbound_channels import InboundChannel
from services.gateway import Gateway, load_environment
from services.http.client import Http
from services.push.base import InboundText, PassedOn
from services.push.sip import channel as sip_channel
from services.push.sip.channel import Sip
from services.push.sip.from_form import from_form
from services.push.sip.settings import HostPort, host_port
from services.push.sip_text import PART_BYTES
from services.store import jobs, workers
from services.store.database import clock
from services.store.jobs import Job, JobKind
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.sip_pbx import SipPbx
from tests.fakes.sip_server import DOMAIN, Answer
from tests.message_steps import receive_text, stored_messages
from tests.push_files import inbound_notice as inbound
from tests.push_files import surroundings
from tests.waiting import PATIENCE, eventually

Make = Callable[..., Gateway]
DEVICE = Device(id="sip:201", extension="201", channel="sip")
SECOND = "+12025550101"


@pytest.fixture
def pbx() -> Iterator[SipPbx]:
    with SipPbx() as running:
        yield running


def loaded(env: dict[str, str]) -> Any:
    settings, problems = variables.load(Sip.Settings, Sip.prefix, env)
    assert settings is not None, problems
    return settings


@pytest.fixture
def opened(pbx: SipPbx) -> Iterator[Callable[..., Sip]]:
    made = []

    def make(transport: str = "udp", **env: str) -> Sip:
        made.append(Sip(loaded(pbx.env(transport, **env)), surroundings(Http())))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


Open = Callable[..., Sip]


def texts(pbx: SipPbx) -> list[str]:
    return [request.body.decode() for request in pbx.texts]


# Settings


def test_the_server_turns_it_on_and_freeswitch_off() -> None:
    base = {"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}
    freeswitch = {"FS_SIP_DOMAIN": DOMAIN}
    sip = {"SIP_SERVER": "pbx.example.com", "SIP_USERNAME": "tb", "SIP_PASSWORD": "secret words"}
    assert "sip" not in load_environment(base | freeswitch).channels
    environment = load_environment(base | freeswitch | sip)
    assert "sip" in environment.channels
    assert "freeswitch" not in environment.channels
    (note,) = environment.warnings(0.0)
    assert str(note) == (
        "FreeSWITCH: is off, because SIP leads to the same phones. Remove the variables of "
        "FreeSWITCH or of SIP."
    )
    assert "secret words" not in repr(environment.channels["sip"])
    assert "secret words" not in repr(environment.channels["sip"].account)


def test_without_a_password_it_is_off_and_named() -> None:
    env = {"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}
    environment = load_environment(env | {"SIP_SERVER": "pbx.example.com", "SIP_USERNAME": "tb"})
    assert "sip" not in environment.channels
    assert [note.variable for note in environment.warnings(0.0)] == ["SIP_PASSWORD"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SIP_SERVER", "sip:pbx.example.com"),
        ("SIP_SERVER", "pbx.example.com:0"),
        ("SIP_SERVER", "pbx.example.com:99999"),
        ("SIP_SERVER", "a b"),
        ("SIP_PROXY", "<sip:edge;lr>"),
        ("SIP_TRANSPORT", "ws"),
        ("SIP_DOMAIN", "pbx.example.com:5060"),
        ("SIP_USERNAME", "textbridge@pbx.example.com"),
        ("SIP_USERNAME", "text bridge"),
        ("SIP_PASSWORD", "two\nlines"),
        ("SIP_FROM", "{number}"),
        ("SIP_FROM", "{peer}{number}"),
        ("SIP_FROM", "<{peer}>"),
        ("SIP_FROM", "peer"),
        ("SIP_EXTENSION_HEADER", "X-SMS-From: 201"),
        ("SIP_CA_FILE", "/no/such/file.pem"),
        ("SIP_EMAIL_AFTER_MINUTES", "0"),
    ],
)
def test_what_is_not_understood_is_refused(variable: str, value: str) -> None:
    env = {"SIP_SERVER": "pbx.example.com", "SIP_USERNAME": "tb", "SIP_PASSWORD": "x"}
    settings, problems = variables.load(Sip.Settings, Sip.prefix, env | {variable: value})
    assert settings is None
    assert [problem.variable for problem in problems] == [variable]


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("PBX.example.com", HostPort("pbx.example.com")),
        ("192.0.2.1:5080", HostPort("192.0.2.1", 5080)),
        ("[2001:db8::1]:5061", HostPort("2001:db8::1", 5061)),
        ("[2001:db8::1]", HostPort("2001:db8::1")),
    ],
)
def test_a_server_may_have_a_port(written: str, parsed: HostPort) -> None:
    assert host_port(written) == parsed
    assert str(parsed) == written.lower()


@pytest.mark.parametrize(
    ("form", "user", "read"),
    [
        ("{peer}", "+13035550177", ("+13035550177", None)),
        ("{peer}", "303-555-0177", ("303-555-0177", None)),
        ("{peer}_{number}", "+13035550177_+12025550143", ("+13035550177", "+12025550143")),
        ("{peer}_{number}", "3035550177", ("3035550177", None)),
        ("{peer}_{number}", "rcs:+13035550177_+12025550143", ("rcs:+13035550177", "+12025550143")),
        ("{peer}_{number}", "365Bank_+12025550143", ("365Bank_+12025550143", None)),
        ("{peer}_{number}", "x_+12025550143", ("x_+12025550143", None)),
        ("sms-{peer}", "sms-+13035550177", ("+13035550177", None)),
        ("sms-{peer}", "sms-303", ("303", None)),
        ("sms-{peer}", "3035550177", ("3035550177", None)),
    ],
)
def test_a_phone_answers_to_the_address_that_it_was_texted_from(
    form: str, user: str, read: tuple[str, str | None]
) -> None:
    assert from_form(form).read(user) == read


# Out


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_text_comes_from_its_sender(pbx: SipPbx, opened: Open, transport: str) -> None:
    assert opened(transport).notify(DEVICE, inbound("Grüße 😀")) is None
    (request,) = pbx.texts
    assert request.body.decode() == f"{PEER}: Grüße 😀"
    assert request.uri == f"sip:201@{DOMAIN}"
    assert str(request.to) == f"<sip:201@{DOMAIN}>"
    assert (request.sender.uri.user, request.sender.uri.host) == (PEER, DOMAIN)
    assert (request.headers.get("x-sms-from"), request.headers.get("x-sms-to")) == (PEER, NUMBER)


def test_the_number_of_ours_may_stand_in_from(pbx: SipPbx, opened: Open) -> None:
    opened(SIP_FROM="{peer}_{number}").notify(DEVICE, inbound(numbers=(NUMBER, SECOND)))
    assert pbx.texts[0].sender.uri.user == f"{PEER}_{NUMBER}"
    assert texts(pbx) == [f"{PEER} to {NUMBER}: Are you open?"]


def test_a_name_for_a_sender_becomes_an_address(pbx: SipPbx, opened: Open) -> None:
    opened().notify(DEVICE, inbound(**{"from": 'M & "S"\r\nX-Evil: 1 <x>'}))
    (request,) = pbx.texts
    assert request.sender.uri.user == 'M & "S"\r\nX-Evil: 1 <x>'
    assert request.headers.get("x-evil") is None


def test_half_a_character_and_a_nul_do_no_harm(pbx: SipPbx, opened: Open) -> None:
    opened().notify(DEVICE, inbound("a\x00b\ud83d"))
    assert texts(pbx) == [f"{PEER}: a\ufffdb\ufffd"]


def test_a_picture_is_a_link_with_its_kind_and_size(pbx: SipPbx, opened: Open) -> None:
    url = "https://sms.example.com/media/f1.jpg?exp=1&sig=x"
    kept = {"id": "f1", "state": "kept", "url": url, "name": "a.jpg", "size": 240_000}
    opened().notify(DEVICE, inbound("look", media=[kept | {"content_type": "image/jpeg"}]))
    assert texts(pbx) == [f"{PEER}: look", f"Picture (JPEG, 240.0 kB): {url}"]


def test_a_text_is_sent_once_and_a_repetition_has_its_call_id(pbx: SipPbx, opened: Open) -> None:
    pbx.answer(480)
    channel = opened()
    with pytest.raises(PushError):
        channel.notify(DEVICE, inbound())
    channel.notify(DEVICE, inbound())
    channel.notify(DEVICE, inbound())
    first, again = pbx.texts
    assert first.call_id == again.call_id
    channel.notify(DEVICE, inbound(id="msg_2"))
    assert pbx.texts[-1].call_id != first.call_id


@pytest.mark.parametrize(
    ("answer", "kind", "offline"),
    [
        (480, Kind.RETRY, True),
        (408, Kind.RETRY, True),
        (404, Kind.RETRY, True),
        (302, Kind.RETRY, True),
        (403, Kind.RETRY, True),
        (500, Kind.RETRY, True),
        (503, Kind.RETRY, True),
        (405, Kind.REFUSED, False),
        (415, Kind.REFUSED, False),
        (488, Kind.REFUSED, False),
        (603, Kind.REFUSED, False),
    ],
)
def test_what_follows_from_an_answer(
    pbx: SipPbx, opened: Open, answer: int, kind: Kind, offline: bool
) -> None:
    pbx.answer(answer)
    with pytest.raises(PushError) as caught:
        opened().notify(DEVICE, inbound())
    error = caught.value
    assert (error.kind, error.offline, error.code) == (kind, offline, str(answer))
    assert error.retry_after is None
    assert f"SIP {answer}" in error.reason


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("40", 40.0), ("40;duration=5", 40.0), ("7 (busy)", 7.0), ("9" * 30, 900.0), ("soon", None)],
)
def test_a_busy_pbx_is_left_alone_as_long_as_it_says(
    pbx: SipPbx, opened: Open, written: str, seconds: float | None
) -> None:
    pbx.answer(503, Retry_After=written)
    with pytest.raises(PushError) as caught:
        opened().notify(DEVICE, inbound())
    assert caught.value.retry_after == seconds


def test_202_is_passed_on(pbx: SipPbx, opened: Open) -> None:
    pbx.answer(202)
    passed = opened().notify(DEVICE, inbound())
    assert isinstance(passed, PassedOn)
    assert passed.code == "202"


@pytest.mark.parametrize("answer", [413, 513])
def test_a_text_that_is_too_long_is_split_between_characters(
    pbx: SipPbx, opened: Open, answer: int
) -> None:
    family = "👩‍👩‍👧"
    pbx.answer(answer)
    opened("tcp").notify(DEVICE, inbound(family * 80))
    whole, *parts = texts(pbx)
    assert whole == f"{PEER}: {family * 80}"
    assert len(parts) > 1
    assert parts[0].startswith(f"(1/{len(parts)}) ")
    heads = [f"({n}/{len(parts)}) " for n in range(1, len(parts) + 1)]
    cut = [part.removeprefix(head) for part, head in zip(parts, heads, strict=True)]
    assert "".join(cut) == whole
    assert all(len(part.encode()) <= PART_BYTES for part in cut)
    assert all(part.endswith("👧") and not part.startswith("\u200d") for part in cut)


def test_a_phone_that_takes_no_length_is_given_up(pbx: SipPbx, opened: Open) -> None:
    pbx.answer(413, 413, 413)
    with pytest.raises(PushError) as caught:
        opened().notify(DEVICE, inbound())
    assert (caught.value.kind, caught.value.code) == (Kind.REFUSED, "413")


def test_a_long_text_goes_by_tcp_though_udp_is_set(pbx: SipPbx, opened: Open) -> None:
    opened("udp").notify(DEVICE, inbound("x" * 1500))
    (request,) = pbx.texts
    assert request.vias[0].transport == "TCP"


def test_nobody_there_pauses_the_channel(opened: Open, pbx: SipPbx) -> None:
    channel = opened("tcp", SIP_SERVER="127.0.0.1:1")
    with pytest.raises(PushError) as caught:
        channel.notify(DEVICE, inbound())
    assert caught.value.kind is Kind.RETRY
    assert caught.value.retry_after is not None


def test_the_check_registers_and_names_what_each_pbx_needs(pbx: SipPbx, opened: Open) -> None:
    first, *needs = opened().check(["201"])
    assert first.ok
    assert first.text.startswith(f"textbridge is registered at 127.0.0.1:{pbx.port} by udp")
    assert [need.text.partition(":")[0] for need in needs] == [
        "FreePBX, Asterisk",
        "FusionPBX, FS PBX",
        "3CX",
        "PortSIP",
        "Kamailio",
    ]
    assert not pbx.is_registered  # it has ended its registration again


def test_the_command_sends_a_text_to_an_extension(make_gateway: Make, pbx: SipPbx) -> None:
    terminal = Terminal(make_gateway(NUMBER_ENTRY, **pbx.env()))
    first, *_, sent = terminal.json("push", "check", "--send-to", "201")["sip"]
    assert first["ok"]
    assert sent == {"ok": True, "text": "SIP: the notification was taken and is on its way."}
    (request,) = pbx.texts
    assert (request.uri, request.sender.uri.user) == (f"sip:201@{DOMAIN}", "textbridge")
    assert request.body.decode() == "Notifications arrive on this device."
    pbx.answer(480)
    checked = terminal.flask("push", "check", "--send-to", "201", code=1)
    assert "FIX No phone of 201 can be reached (SIP 480)." in checked.output


def test_the_command_needs_a_channel_to_phones(make_gateway: Make) -> None:
    checked = Terminal(make_gateway(NUMBER_ENTRY)).flask(
        "push", "check", "--send-to", "201", code=2
    )
    assert "No channel to SIP phones is on." in checked.output


# In


@pytest.fixture
def listen(make_gateway: Make, pbx: SipPbx) -> Iterator[Callable[..., Gateway]]:
    alive = [True]
    threads = []

    def start(*entries: dict[str, Any], **env: str) -> Gateway:
        gateway = make_gateway(*(entries or (NUMBER_ENTRY,)), **{**pbx.env("tcp"), **env})
        gateway.store.write(lambda tx: workers.beat(tx, "w", clock.now(tx)))
        channel = gateway.channels["sip"]
        assert isinstance(channel, Sip)
        inbound = InboundChannel(gateway.store, gateway.composer, channel, "w")
        threads.append(Thread(target=inbound.run, args=(lambda: alive[0],)))
        threads[-1].start()
        eventually(lambda: pbx.is_registered)
        return gateway

    yield start
    alive[0] = False
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not pbx.is_registered


Listen = Callable[..., Gateway]


def test_a_pbx_that_asks_to_register_later_is_left_alone_so_long(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Retry-After, but not for longer than a quarter of an hour."""
    slept: list[float] = []
    monkeypatch.setattr(inbound_channels, "sleep_while", lambda _, wait: slept.append(wait))
    busy = [Answer(503, {"Retry-After": seconds}) for seconds in ("120", "999999", "0")]
    pbx.script("REGISTER", *busy)
    listen()
    eventually(lambda: len(slept) >= 3)
    assert slept[:3] == [120.0, 900.0, 4.0]


def test_a_text_of_a_phone_becomes_a_reply_of_its_extension(pbx: SipPbx, listen: Listen) -> None:
    gateway = listen()
    assert pbx.text("Bis sechs 😀").status == 202
    (message,) = stored_messages(gateway)
    assert (message.extension, message.peer, message.text) == ("201", PEER, "Bis sechs 😀")


def test_a_repeated_text_is_answered_the_same_and_stored_once(pbx: SipPbx, listen: Listen) -> None:
    gateway = listen()
    assert [pbx.text(Call_ID="a").status for _ in range(2)] == [202, 202]
    assert [pbx.text("Another", Call_ID="a").status, pbx.text(Call_ID="b").status] == [202, 202]
    assert sorted(one.text for one in stored_messages(gateway)) == [
        "Another",
        "Until six",
        "Until six",
    ]


def test_the_dialled_number_may_stand_in_a_header(pbx: SipPbx, listen: Listen) -> None:
    gateway = listen()
    assert pbx.text(to="textbridge", X_SMS_To="303-555-0177").status == 202
    named = f"<sip:+13035550178@{DOMAIN}>"
    assert pbx.text(to="textbridge", X_SMS_To=named).status == 202
    assert sorted(one.peer for one in stored_messages(gateway)) == [PEER, "+13035550178"]


def test_the_user_chooses_the_number_by_the_address(pbx: SipPbx, listen: Listen) -> None:
    gateway = listen(NUMBER_ENTRY, {**NUMBER_ENTRY, "number": SECOND}, SIP_FROM="{peer}_{number}")
    assert pbx.text(to=f"{PEER}_{SECOND}").status == 202
    (message,) = stored_messages(gateway)
    assert (message.peer, message.number) == (PEER, SECOND)


def test_requests_of_strangers_are_not_heard(pbx: SipPbx, listen: Listen) -> None:
    gateway = listen(SIP_TRANSPORT="udp")
    with SipPbx() as stranger:
        stranger.aim_at_account_of(pbx)
        with pytest.raises(AssertionError):
            stranger.text("Forged", seconds=1.0)
    assert pbx.text("Real").status == 202
    assert [one.text for one in stored_messages(gateway)] == ["Real"]


P_ASSERTED = {"SIP_EXTENSION_HEADER": "P-Asserted-Identity"}


@pytest.mark.parametrize(
    ("env", "headers"),
    [
        ({}, {"X_SMS_From": ""}),
        ({}, {"X_SMS_From": "201,202"}),
        ({}, {"X_SMS_From": f"<sip:201@{DOMAIN}>, <sip:202@{DOMAIN}>"}),
        ({}, {"X_SMS_From": "<sip:201@evil.example>"}),
        ({}, {"X_SMS_From": "2 0 1"}),
        ({}, {"X_SMS_From": "<sip:201@"}),
        (P_ASSERTED, {}),
        (P_ASSERTED, {"P_Asserted_Identity": "tel:+13035550177"}),
        (P_ASSERTED, {"P_Asserted_Identity": "<sip:201@evil.example>"}),
        ({"SIP_EXTENSION_HEADER": "From"}, {"From": "<sip:201@evil.example>;tag=1"}),
    ],
)
def test_a_text_for_which_the_pbx_does_not_vouch_is_refused(
    pbx: SipPbx, listen: Listen, env: dict[str, str], headers: dict[str, str]
) -> None:
    gateway = listen(**env)
    assert pbx.text(**headers).status == 403
    assert stored_messages(gateway) == []


@pytest.mark.parametrize(
    ("env", "headers"),
    [
        ({}, {"X_SMS_From": f"<sip:201@{DOMAIN}>"}),
        (P_ASSERTED, {"P_Asserted_Identity": f'"Ann" <sip:201@{DOMAIN}>, <tel:201>'}),
        ({"SIP_EXTENSION_HEADER": "From"}, {}),
    ],
)
def test_the_header_that_vouches_is_a_setting(
    pbx: SipPbx, listen: Listen, env: dict[str, str], headers: dict[str, str]
) -> None:
    gateway = listen(**env)
    assert pbx.text(**headers).status == 202
    assert [one.extension for one in stored_messages(gateway)] == ["201"]


def test_a_refusal_comes_back_once_as_a_text_in_plain_words(pbx: SipPbx, listen: Listen) -> None:
    listen()
    assert pbx.text(sender="205").status == 202
    eventually(lambda: pbx.texts)
    (told,) = pbx.texts
    assert (told.uri, told.sender.uri.user) == (f"sip:205@{DOMAIN}", PEER)
    assert told.body.decode() == (
        f"Not sent to {PEER}: Extension 205 has no number yet. Ask your administrator to add it in "
        "Message Settings."
    )


@pytest.mark.parametrize("header", ["<sip:", "<sip:a@x>, <sip:b@x>"])
def test_a_number_that_the_pbx_does_not_name_is_said_to_the_writer(
    pbx: SipPbx, listen: Listen, header: str
) -> None:
    gateway = listen()
    assert pbx.text(X_SMS_To=header).status == 202
    eventually(lambda: pbx.texts)
    assert pbx.texts[0].body.decode() == (
        "Not sent. The PBX does not say to which number this was written. Write it to a phone "
        "number such as +12025550143. If that does not help, ask your administrator."
    )
    assert stored_messages(gateway) == []


def test_while_the_storage_is_unwell_the_pbx_hears_503(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sip, "keep_seconds", 0.0)
    gateway = listen()
    submit = gateway.composer.submit

    def unwell(*_: object) -> None:
        raise StorageUnwell("The disk is full.")

    monkeypatch.setattr(gateway.composer, "submit", unwell)
    assert pbx.text(Call_ID="a").status == 503
    assert pbx.texts == []
    monkeypatch.setattr(gateway.composer, "submit", submit)
    assert pbx.text(Call_ID="a").status == 202
    assert len(stored_messages(gateway)) == 1


def test_a_text_that_was_answered_503_while_it_waited_is_not_kept(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_channel, "TIMES", replace(sip_channel.TIMES, answer=1.0))
    gateway = listen()
    submit, slow = gateway.composer.submit, Event()

    def wait(*asked: Any) -> Any:
        slow.wait(PATIENCE)
        return submit(*asked)

    monkeypatch.setattr(gateway.composer, "submit", wait)
    pbx.ask("MESSAGE", "First", X_SMS_From="201", To=f"<sip:{PEER}@{DOMAIN}>")
    assert pbx.text("Second").status == 503
    slow.set()
    assert pbx.text("Third").status == 202
    assert sorted(one.text for one in stored_messages(gateway)) == ["First", "Third"]


def test_a_text_whose_storing_has_begun_is_answered_by_what_became_of_it(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out for an answer ends while it is stored: no 503 for a text that is kept."""
    monkeypatch.setattr(sip_channel, "TIMES", replace(sip_channel.TIMES, answer=0.5))
    gateway = listen()
    submit, begun, slow = gateway.composer.submit, Event(), Event()

    def wait(*asked: Any) -> Any:
        begun.set()
        slow.wait(PATIENCE)
        return submit(*asked)

    monkeypatch.setattr(gateway.composer, "submit", wait)
    asked = pbx.ask("MESSAGE", "First", X_SMS_From="201", To=f"<sip:{PEER}@{DOMAIN}>")
    assert begun.wait(PATIENCE)
    assert pbx.text("Second").status == 503  # its time-out is over, so that of the first is, too
    slow.set()
    assert pbx.answer_to(asked).status == 202
    assert [one.text for one in stored_messages(gateway)] == ["First"]


def test_a_text_that_was_told_503_is_not_stored_even_when_it_is_handed_out(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out answers between the handing out and the storing."""
    gateway = listen()

    def late(channel: Sip, text: InboundText) -> bool:
        channel._unanswered[text.id]._answer(503, "")
        return begin(channel, text)

    begin = Sip.begin_keeping
    monkeypatch.setattr(Sip, "begin_keeping", late)
    assert pbx.text("Late").status == 503
    monkeypatch.setattr(Sip, "begin_keeping", begin)
    assert pbx.text("In time", Call_ID="b").status == 202
    assert [one.text for one in stored_messages(gateway)] == ["In time"]


def test_a_phone_that_registers_gets_its_texts_where_the_pbx_tells(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound_channels, "WATCH_SECONDS", 0.1)
    gateway = listen()
    receive_text(gateway)
    message = stored_messages(gateway)[0]
    later = gateway.store.read(clock.now) + 600
    job = Job(JobKind.PUSH, message.id, "push:sip", "sip:202", "received", due=later)
    gateway.store.write(lambda tx: jobs.add(tx, [job]))
    for odd in ("nonsense", "sip:%ff@pbx.test", "sip:@pbx.test", "tel:+1"):
        pbx.notify_registered("202", odd)
    pbx.notify_registered("202")
    eventually(lambda: not gateway.store.read(lambda tx: jobs.waits(tx, "push:sip", "sip:202")))


def test_a_pbx_without_reg_event_is_asked_once(
    pbx: SipPbx, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound_channels, "WATCH_SECONDS", 0.1)
    pbx.script("SUBSCRIBE", Answer(489))
    gateway = listen()
    receive_text(gateway)
    message = stored_messages(gateway)[0]
    later = gateway.store.read(clock.now) + 600
    new = [
        Job(JobKind.PUSH, message.id, "push:sip", f"sip:{each}", "received", due=later)
        for each in ("202", "203")
    ]
    gateway.store.write(lambda tx: jobs.add(tx, new))
    pbx.wait("SUBSCRIBE")
    for number in range(5):
        pbx.text(Call_ID=f"round-{number}")
    assert len(pbx.of("SUBSCRIBE")) == 1
