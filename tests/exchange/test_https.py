"""Who may come is decided by keys alone; what comes is bounded in size, time and number."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagiq.clock import VirtualClock
from imagiq.errors import Misuse, Unreachable
from imagiq.exchange import PatientRemote, certificates, https
from imagiq.exchange import listener as listener_module
from imagiq.exchange.certificates import certificate_of, tls_context
from imagiq.exchange.https import HttpsRemote
from imagiq.exchange.listener import Listener
from imagiq.exchange.quota import Allowance, Quota
from imagiq.exchange.remote import OBJECT_LIMIT
from imagiq.keys import SiteKey
from imagiq.objects import digest_of
from tests.exchange.proxy import proxy

pytestmark = pytest.mark.process

LISTENER, ANNA, BERT, STRANGER = (SiteKey(name.ljust(32)) for name in (b"l", b"a", b"b", b"s"))
AT = {key.public: digest_of(key.public.encode()) for key in (ANNA, BERT)}
BLOB = f"{AT[ANNA.public]}/blobs/{digest_of(b'blob')}"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with Listener(tmp_path, LISTENER, AT) as listener:
        yield listener


OPEN: list[HttpsRemote] = []


@pytest.fixture(autouse=True)
def close_what_was_opened() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def at(listener: Listener, site: SiteKey = ANNA, key: str = LISTENER.public, proxy: str | None = None) -> HttpsRemote:
    remote = HttpsRemote(f"https://127.0.0.1:{listener.port}", site, key, proxy=proxy, silence_s=10)
    OPEN.append(remote)
    return remote


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(Unreachable) as raised:
        call()
    return raised.value.code


# ------------------------------------------------------------------------------------------------------ who may come


def test_who_is_not_admitted_is_refused_in_the_handshake(listener: Listener) -> None:
    at(listener).put_if_absent(BLOB, b"sealed")
    assert refusal(lambda: at(listener, STRANGER).get(BLOB)) == "remote-tls"


def test_a_listener_with_another_key_is_told_nothing(listener: Listener) -> None:
    assert refusal(lambda: at(listener, key=STRANGER.public).put_if_absent(BLOB, b"sealed")) == "remote-key"
    assert at(listener).get(BLOB) is None


def handshake(listener: Listener, context: ssl.SSLContext) -> bytes:
    """Ask with a TLS stack of one's own; return the first line of the answer, none if there is none."""
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain:
        try:
            with context.wrap_socket(plain) as secured:
                secured.sendall(b"GET /1/n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return secured.recv(100).partition(b"\r\n")[0]
        except (ssl.SSLError, ConnectionError):
            return b""


def context_with(certificate: bytes | None, key: SiteKey) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        certificates._load_key(context, key.tls_private, certificate)
    return context


def test_without_a_certificate_nobody_comes_in(listener: Listener) -> None:
    assert handshake(listener, context_with(None, ANNA)) == b""


def test_a_certificate_of_a_member_without_its_key_is_worth_nothing(listener: Listener) -> None:
    with pytest.raises(ssl.SSLError):
        context_with(certificate_of(ANNA.tls_private), STRANGER)


@pytest.mark.parametrize(
    ("first_day", "last_day"),
    [(datetime(1960, 1, 1, tzinfo=UTC), datetime(1961, 1, 1, tzinfo=UTC)), (datetime(2300, 1, 1, tzinfo=UTC), None)],
    ids=["expired", "not yet valid"],
)
def test_dates_in_certificates_are_not_read(listener: Listener, first_day: datetime, last_day: datetime | None) -> None:
    last = last_day or certificates.LAST_DAY
    certificate = certificate_of(ANNA.tls_private, first_day=first_day, last_day=last)
    assert handshake(listener, context_with(certificate, ANNA)) == b"HTTP/1.1 200 OK"
    strange = certificate_of(STRANGER.tls_private, first_day=first_day, last_day=last)
    assert handshake(listener, context_with(strange, STRANGER)) == b""


def test_a_clients_dates_are_not_read_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = certificate_of(
        LISTENER.tls_private, first_day=datetime(1960, 1, 1, tzinfo=UTC), last_day=datetime(1961, 1, 1, tzinfo=UTC)
    )
    monkeypatch.setattr(certificates, "certificate_of", lambda _: old)
    listener = Listener(tmp_path, LISTENER, AT)
    monkeypatch.undo()
    with listener:
        assert at(listener).put_if_absent(BLOB, b"sealed")


def test_a_member_cannot_vouch_for_a_stranger(listener: Listener) -> None:
    """It signs a certificate for another's key, in its own name: OpenSSL lets it pass, imagiq looks at the key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    vouched = (
        x509.CertificateBuilder()
        .subject_name(certificates._name("imagiq site"))
        .issuer_name(certificates._name(ANNA.public))
        .public_key(STRANGER.tls_private.public_key())
        .serial_number(1)
        .not_valid_before(certificates.FIRST_DAY)
        .not_valid_after(certificates.LAST_DAY)
        .sign(ANNA.tls_private, None)
    )
    answer = handshake(listener, context_with(vouched.public_bytes(Encoding.PEM), STRANGER))
    assert answer == b"HTTP/1.1 403 Forbidden"


def test_older_tls_is_not_spoken(listener: Listener) -> None:
    context = context_with(certificate_of(ANNA.tls_private), ANNA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(listener, context) == b""


def test_who_is_no_longer_admitted_is_refused_on_a_line_that_is_open(listener: Listener) -> None:
    anna, bert = at(listener), at(listener, BERT)
    anna.put_if_absent(BLOB, b"sealed")
    listener.admit({BERT.public: AT[BERT.public]})
    assert refusal(lambda: anna.get(BLOB)) == "remote-refused"
    assert bert.get(BLOB) == b"sealed"
    listener.admit(AT | {STRANGER.public: digest_of(b"s")})
    assert at(listener, STRANGER).get(BLOB) == b"sealed"


def test_nobody_writes_below_the_pseudonym_of_another(listener: Listener, tmp_path: Path) -> None:
    bert = at(listener, BERT)
    assert refusal(lambda: bert.put_if_absent(BLOB, b"garbage")) == "remote-refused"
    assert refusal(lambda: bert.replace(BLOB, b"garbage")) == "remote-refused"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


# ------------------------------------------------------------------------------------------------- limits and quotas


def test_a_body_that_is_too_large_is_refused_before_it_is_read(listener: Listener) -> None:
    context = context_with(certificate_of(ANNA.tls_private), ANNA)
    with (
        socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        head = f"PUT /1/o/{BLOB} HTTP/1.1\r\nHost: x\r\nContent-Length: {OBJECT_LIMIT + 1}\r\n\r\n"
        secured.sendall(head.encode())
        assert secured.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "request_line",
    [
        *("GET /1/o/../../etc/passwd", "GET /1/o/%2e%2e/x", "GET /x", "DELETE /1/o/x", "GET /1/l/..", "PUT /1/o/x"),
        *(f"GET /1/o/{BLOB}%00", "GET /1/l/%00", "POST /1/n", "BREW /"),
    ],
)
def test_nothing_else_can_be_asked(listener: Listener, request_line: str) -> None:
    context = context_with(certificate_of(ANNA.tls_private), ANNA)
    with (
        socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        secured.sendall(f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        assert secured.recv(100)[9:12] in {b"404", b"405", b"400"}


def test_a_body_that_drips_gives_its_place_back(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "BODY_S", 0.3)
    context = context_with(certificate_of(ANNA.tls_private), ANNA)
    with (
        socket.create_connection(("127.0.0.1", listener.port), timeout=20) as plain,
        context.wrap_socket(plain) as secured,
    ):
        secured.sendall(f"PUT /1/o/{BLOB} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nfew".encode())
        assert secured.recv(100).startswith(b"HTTP/1.1 408")
    assert at(listener).put_if_absent(BLOB, b"sealed")


def test_a_quota_delays_and_never_refuses_for_good() -> None:
    clock = VirtualClock()
    quota = Quota(Allowance(burst_bytes=100, bytes_s=10, burst_objects=3, objects_s=1), clock)
    assert [quota.wait_s(40), quota.wait_s(40)] == [0, 0]
    assert quota.wait_s(40) == 2.0
    clock.advance_to(2.0)
    assert quota.wait_s(40) == 0
    assert quota.wait_s(10_000) == 10.0, "what is larger than any burst waits for a whole one"
    clock.advance_to(12.0)
    assert quota.wait_s(10_000) == 0
    clock.advance_to(1e6)
    assert quota.wait_s(1) == 0


def test_who_writes_too_much_is_told_how_long_to_wait(tmp_path: Path) -> None:
    clock = VirtualClock()
    allowance = Allowance(burst_bytes=1000, bytes_s=10)
    with Listener(tmp_path, LISTENER, AT, allowance=allowance, clock=clock) as listener:
        anna, bert = at(listener), at(listener, BERT)
        assert anna.put_if_absent(BLOB, bytes(1000))
        other = f"{AT[ANNA.public]}/blobs/{digest_of(b'other')}"
        pauses_s: list[float] = []
        patient = PatientRemote(anna, lambda: 0.5, pause=pauses_s.append)
        assert refusal(lambda: patient.put_if_absent(other, bytes(1000))) == "remote-busy"
        assert pauses_s == [], "the member is told at once: it waits, and does not hammer"
        assert bert.put_if_absent(f"{AT[BERT.public]}/blobs/{digest_of(b'blob')}", bytes(1000)), "each has its own"
        clock.advance_to(100.0)
        assert anna.put_if_absent(other, bytes(1000))


# ------------------------------------------------------------------------------------------------- lines that are bad


@contextmanager
def rude_listener(answer: Callable[[ssl.SSLSocket], None]) -> Iterator[HttpsRemote]:
    """Answer as no listener should, with the right key."""
    context = tls_context(LISTENER, [ANNA.public], server=True)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(10_000)
                answer(secured)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        OPEN.append(HttpsRemote(url, ANNA, LISTENER.public, silence_s=0.5))
        yield OPEN[-1]
        OPEN[-1].close()
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 206 x\r\nContent-Length: 1000\r\n\r\ncut off",
        b"HTTP/1.1 206 x\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 206 x\r\n\r\nno length",
        b"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 x\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
)
def test_an_answer_that_is_none_is_unreachable(answer: bytes) -> None:
    with rude_listener(lambda secured: secured.sendall(answer)) as remote:
        assert refusal(lambda: remote.get(BLOB, length=10_000)).startswith("remote-")


def test_silence_ends() -> None:
    done = threading.Event()

    def stay_silent(_: ssl.SSLSocket) -> None:
        done.wait(20)

    with rude_listener(stay_silent) as remote:
        assert refusal(lambda: remote.get(BLOB)) == "remote-away"
        done.set()


def test_an_answer_that_drips_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "SLOWEST_BYTES_S", 10_000_000)

    def drip(secured: ssl.SSLSocket) -> None:
        secured.sendall(b"HTTP/1.1 206 x\r\nContent-Length: 10000\r\n\r\n")
        try:
            for _ in range(100):
                secured.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            return

    with rude_listener(drip) as remote:
        assert refusal(lambda: remote.get(BLOB, length=10_000)) == "remote-away"


def test_nobody_there_is_unreachable_in_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        remote = HttpsRemote(f"https://127.0.0.1:{free.getsockname()[1]}", ANNA, LISTENER.public)
        assert refusal(lambda: remote.get(BLOB)) == "remote-away"


def test_a_kept_connection_that_the_other_side_has_closed_is_made_anew(tmp_path: Path) -> None:
    with Listener(tmp_path, LISTENER, AT) as listener:
        remote, port = at(listener), listener.port
        remote.put_if_absent(BLOB, b"sealed")
    with Listener(tmp_path, LISTENER, AT, port=port):
        assert remote.get(BLOB) == b"sealed"


def test_two_listeners_at_one_port_are_told_apart_from_a_crash(listener: Listener, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Choose another port"):
        Listener(tmp_path, LISTENER, AT, port=listener.port).start()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99_999), ("a" * 80, 0)])
def test_an_address_that_no_machine_has_is_told_and_nobody_waits_for_it(tmp_path: Path, host: str, port: int) -> None:
    with pytest.raises(Unreachable, match="no such address") as raised:
        Listener(tmp_path, LISTENER, AT, host=host, port=port).start()
    assert raised.value.code == "listener-address"


def test_what_is_no_request_is_answered_and_fills_no_log(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    context = tls_context(ANNA, [LISTENER.public], server=False)
    for request in (b"\x00\x01\xff\r\n\r\n", b"GET /1/n HTTP/1.1\r\nX: " + b"x" * 10_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", listener.port)) as plain, context.wrap_socket(plain) as secured:
            secured.sendall(request)
            assert b" 400 " in secured.recv(1000)
    assert not caplog.records


def test_what_another_process_writes_into_the_folder_is_news_too(listener: Listener, tmp_path: Path) -> None:
    remote = at(listener)
    word = remote.news([])
    head = tmp_path / AT[BERT.public] / "feeds" / "head"

    def write() -> None:
        head.parent.mkdir(parents=True)
        head.write_bytes(b"1")

    threading.Timer(0.2, write).start()
    start = time.monotonic()
    assert remote.news([], word, 10.0) != word
    assert time.monotonic() - start < 1.2


# ------------------------------------------------------------------------------------------------------------ proxies


def test_a_proxy_that_knows_connect_is_passed(listener: Listener) -> None:
    with proxy() as (url, log):
        remote = at(listener, proxy=url)
        assert remote.put_if_absent(BLOB, b"through the proxy" * 1000)
        assert remote.get(BLOB) == b"through the proxy" * 1000
        remote.close()
        lines = log.read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [["CONNECT", f"127.0.0.1:{listener.port}"]]


def test_a_proxy_gets_its_password_and_nothing_else(listener: Listener) -> None:
    with proxy("anna:s3cret/") as (url, _):
        with_password = url.replace("http://", "http://anna:s3cret%2F@")
        assert at(listener, proxy=with_password).put_if_absent(BLOB, b"sealed")
        assert refusal(lambda: at(listener, proxy=url).get(BLOB)) == "remote-proxy"
        remote = at(listener, proxy=with_password)
        assert "s3cret" not in remote.name


def test_a_proxy_that_opens_tls_is_noticed(listener: Listener) -> None:
    with Listener(listener._folder._root, STRANGER, AT) as middle, proxy(to=middle.port) as (url, _):
        assert refusal(lambda: at(listener, proxy=url).get(BLOB)) == "remote-key"


@pytest.mark.parametrize("url", ["http://x", "https://", "x", "https://x/path", "https://x:99999", "ftp://x:1"])
def test_an_address_that_is_none_is_refused_in_words(url: str) -> None:
    with pytest.raises(Misuse):
        HttpsRemote(url, ANNA, LISTENER.public)


def test_after_a_silence_no_other_kept_connection_is_waited_for() -> None:
    """What a firewall has forgotten is dead on all connections that were kept, and each would take a silence of its own."""
    context = tls_context(LISTENER, [ANNA.public], server=True)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            for _ in range(4):
                with suppress(OSError):
                    secured = context.wrap_socket(server.accept()[0], server_side=True)
                    secured.recv(10_000)
                    secured.sendall(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n")
                    kept.append(secured)
            over.wait(5)

        kept: list[ssl.SSLSocket] = []
        threading.Thread(target=serve, daemon=True).start()
        remote = HttpsRemote(f"https://127.0.0.1:{server.getsockname()[1]}", ANNA, LISTENER.public, silence_s=0.5)
        OPEN.append(remote)
        for connection in (remote._connected() for _ in range(3)):  # as threads make that ask side by side
            assert remote._exchange(connection, https._Request("GET", f"/1/o/{BLOB}", limit=1)).status == 404
            remote._idle.append(connection)
        assert refusal(lambda: remote.get(BLOB)) == "remote-away"
        assert remote.get(BLOB) is None, "by a new connection"
        over.set()
        for secured in kept:
            secured.close()


def test_a_body_takes_as_long_as_the_line_needs_while_it_moves() -> None:
    """By a line that takes longer for it than a silence may last."""
    size, taken, done = 6 * 2**20, 0, False

    def read_slowly(secured: ssl.SSLSocket) -> None:
        nonlocal taken, done
        with suppress(OSError):
            while taken < size and (part := secured.recv(2**18)):
                taken += len(part)
                time.sleep(0.003)
            secured.sendall(b"HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n")
            done = True

    with rude_listener(read_slowly) as remote:
        assert remote.put_if_absent(BLOB, bytes(size))
    assert done
