"""A listener as a remote, reached by https: the client's side. :mod:`imagiq.exchange.listener` is the other.

One thread, one connection, blocking calls: that moves more bytes a second than an event loop, and whoever exchanges has
threads anyway. Connections are kept and used again.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from imagiq.clock import Clock, SystemClock
from imagiq.errors import Misuse, Unreachable, Untrusted
from imagiq.exchange.certificates import peer_key, tls_context
from imagiq.exchange.remote import OBJECT_LIMIT, SLOWEST_BYTES_S, Listed, check_folder, check_name
from imagiq.keys import SiteKey

__all__ = ["LONGEST_POLL_S", "PAGE", "HttpsRemote"]

PORT: Final = 8470
SILENCE_S: Final = 30.0
"""No single read or write takes longer."""
LONGEST_POLL_S: Final = 20.0
PAGE: Final = 10_000
PAGE_LIMIT: Final = PAGE * 128
TEXT_LIMIT: Final = 4096
CONNECTIONS_KEPT: Final = 16
PIECE_BYTES: Final = 2**16
"""So much of a body must leave within one silence; more would never leave by a slow line."""
BUFFERED: Final = 4.0
"""So much longer than its sending took a body may be under way, in buffers of this machine and others, before it is answered."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked. ``limit``: the most bytes of an answer; ``extra_s``: how long the listener may think."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    limit: int = TEXT_LIMIT
    extra_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """A listener's answer, read whole."""

    status: int
    body: bytes
    retry_after: str


class HttpsRemote:
    """See :class:`imagiq.exchange.remote.Remote`.

    Args:
        url: Such as ``https://relay.example.org:8470``.
        site: This site's keys; the listener knows it by them.
        key: The listener's Ed25519 public key, hexadecimal. Nothing is sent to anybody else.
        proxy: A proxy that knows CONNECT, such as ``http://user:password@proxy:3128``; None: none.
        silence_s: How long to wait for a single answer.
        clock: For the time limit of a transfer.
    """

    def __init__(
        self,
        url: str,
        site: SiteKey,
        key: str,
        *,
        proxy: str | None = None,
        silence_s: float = SILENCE_S,
        clock: Clock | None = None,
    ) -> None:
        self._address = _parse(url, {"https"}, PORT)
        self._proxy = None if proxy is None else _parse(proxy, {"http"}, 3128)
        self._key = key
        self._context = tls_context(site, [key], server=False)
        self._silence_s = silence_s
        self._clock = clock or SystemClock()
        self._idle: deque[http.client.HTTPSConnection] = deque()
        self._closed = Event()
        self._was_let_in = False

    @property
    def name(self) -> str:
        """The listener's URL."""
        return f"https://{self._address.hostname}:{self._address.port}"

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put an object where none is."""
        answer = self._call(_Request("PUT", f"/1/o/{check_name(name)}", content, {"If-None-Match": "*"}))
        if answer.status not in {201, 412}:
            raise self._refusal(answer)
        return answer.status == 201

    def replace(self, name: str, content: bytes) -> None:
        """Put an object in place of the one that is there."""
        answer = self._call(_Request("PUT", f"/1/o/{check_name(name)}", content))
        if answer.status != 204:
            raise self._refusal(answer)

    def get(self, name: str, *, start: int = 0, length: int = OBJECT_LIMIT + 1) -> bytes | None:
        """Return a part of an object."""
        if length <= 0:
            return b""
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        answer = self._call(_Request("GET", f"/1/o/{check_name(name)}", None, headers, length))
        if answer.status == 206:
            return answer.body
        if answer.status in {404, 416}:
            return None if answer.status == 404 else b""
        raise self._refusal(answer)

    def list(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is in a folder, a page at a time."""
        check_folder(folder)
        while True:
            answer = self._call(_Request("GET", f"/1/l/{folder}?after={quote(after)}", limit=PAGE_LIMIT))
            if answer.status != 200:
                raise self._refusal(answer)
            page = _parse_page(answer.body)
            yield from page
            if len(page) < PAGE or page[-1].name <= after:
                return
            after = page[-1].name

    def news(self, sites: Sequence[str], since: str = "", wait_s: float = 0.0) -> str:
        """Ask for news; the listener answers when there are some. It looks at all sites that it knows."""
        del sites
        waited_s = 0.0
        while True:
            asked_s = min(LONGEST_POLL_S, wait_s - waited_s)
            path = f"/1/n?since={quote(since)}&wait={max(0.0, asked_s):.2f}"
            answer = self._call(_Request("GET", path, extra_s=LONGEST_POLL_S))
            if answer.status != 200:
                raise self._refusal(answer)
            word = answer.body.decode("ascii", "replace")
            waited_s += max(asked_s, 0.01)
            if word != since or waited_s >= wait_s or self._closed.is_set():
                return word

    def close(self) -> None:
        """Close all connections."""
        self._closed.set()
        self._forget_idle()

    # -------------------------------------------------------------------------------------------- one request

    def _call(self, request: _Request) -> _Answer:
        """Make a request. A connection that was kept may have been closed meanwhile: then once more on a new one."""
        while True:
            connection, used = self._connection()
            try:
                answer = self._exchange(connection, request)
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                if isinstance(error, TimeoutError):
                    self._forget_idle()
                if used and isinstance(error, http.client.RemoteDisconnected | ConnectionError | ssl.SSLEOFError):
                    continue
                raise self._explain(error) from error
            except BaseException:
                connection.close()
                raise
            self._was_let_in = True
            if connection.sock is not None and len(self._idle) < CONNECTIONS_KEPT and not self._closed.is_set():
                self._idle.append(connection)
            else:
                connection.close()
            return answer

    def _exchange(self, connection: http.client.HTTPSConnection, request: _Request) -> _Answer:
        limit = max(request.limit, TEXT_LIMIT)
        moved = limit + len(request.body or b"")
        began_s = self._clock.now_s()
        until_s = began_s + self._silence_s + request.extra_s + moved / SLOWEST_BYTES_S
        if request.body is None:
            connection.request(request.method, request.path, None, request.headers)
        else:
            headers = {**request.headers, "Content-Length": str(len(request.body))}
            connection.request(request.method, request.path, self._pieces(request.body, until_s), headers)
            # what lies in buffers on the way comes to the other side by the same line
            _wait_at_most(connection, self._silence_s + BUFFERED * (self._clock.now_s() - began_s))
        with closing(connection.getresponse()) as response:
            size = response.length
            if size is None or size > limit:
                raise http.client.HTTPException("more than was asked for")
            parts, left = [], size
            while left > 0:
                part = response.read1(left)
                if not part or self._clock.now_s() > until_s:
                    raise TimeoutError("cut off, or too slow")
                parts.append(part)
                left -= len(part)
            response.read()
        if response.will_close:
            connection.close()
        _wait_at_most(connection, self._silence_s)
        found = parts[0] if len(parts) == 1 else b"".join(parts)
        return _Answer(response.status, found, response.headers.get("Retry-After", ""))

    def _pieces(self, body: bytes, until_s: float) -> Iterator[memoryview]:
        """Yield a body in pieces, each of which has its own time: on a slow line one may take long, and all take longer."""
        whole = memoryview(body)
        for start in range(0, len(body), PIECE_BYTES):
            if self._clock.now_s() > until_s:
                raise TimeoutError("too slow")
            yield whole[start : start + PIECE_BYTES]

    def _forget_idle(self) -> None:
        """Close what is kept: after a silence all of it may be dead, and each would be waited for in its turn."""
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def _connection(self) -> tuple[http.client.HTTPSConnection, bool]:
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._connected(), False

    def _connected(self) -> http.client.HTTPSConnection:
        address, proxy = self._address, self._proxy
        at = proxy or address
        connection = http.client.HTTPSConnection(
            at.hostname or "", at.port, timeout=self._silence_s, context=self._context
        )
        connection.auto_open = 0  # never again without a look at the key
        if proxy is not None:
            headers = {}
            if proxy.username is not None:
                user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
                headers["Proxy-Authorization"] = "Basic " + base64.b64encode(user).decode("ascii")
            connection.set_tunnel(address.hostname or "", address.port, headers)
        try:
            connection.connect()
            self._check_key(connection)
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise self._explain(error) from error
        return connection

    def _check_key(self, connection: http.client.HTTPSConnection) -> None:
        """Check who has answered, before anything is said; TLS has refused strangers already."""
        shown = connection.sock.getpeercert(binary_form=True) if isinstance(connection.sock, ssl.SSLSocket) else None
        try:
            if peer_key(shown) == self._key:
                return
        except Untrusted:
            pass
        raise ssl.SSLCertVerificationError("another key than the pinned one")

    # ------------------------------------------------------------------------------------------------- words

    def _explain(self, error: Exception) -> Unreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(
                "remote-key",
                f"Who answers at {self.name} has not the key that is expected there.",
                "Check the address; if the listener has a new key, ask its owner for it by another way.",
            )
        is_end = isinstance(error, ssl.SSLEOFError | http.client.RemoteDisconnected)
        if (is_end and not self._was_let_in) or (isinstance(error, ssl.SSLError) and not is_end):
            return Unreachable(
                "remote-tls",
                f"{self.name} ended the connection: it does not know this site, or something on the way interferes.",
                "Ask the listener's owner to admit this site's key; a proxy must pass TLS through unopened.",
            )
        if self._proxy is not None and "Tunnel connection failed" in str(error):
            return Unreachable(
                "remote-proxy", f"The proxy does not connect to {self.name}.", "Check the proxy's address and password."
            )
        return Unreachable(
            "remote-away", f"{self.name} does not answer ({type(error).__name__}).", "Check the address and the line."
        )

    def _refusal(self, answer: _Answer) -> Unreachable:
        if answer.status == 429:
            return Unreachable(
                "remote-busy",
                f"{self.name} takes no more from this site for {answer.retry_after or 'some'} s: its quota is used up.",
                "Nothing: it goes on by itself.",
            )
        if answer.status == 507:
            return Unreachable("remote-full", f"The remote {self.name} is full.", "Make room there; nothing was lost.")
        if answer.status == 423:
            return Unreachable(
                "remote-read-only", f"Nothing can be written to the remote {self.name}.", "Ask who keeps it."
            )
        if answer.status in {401, 403}:
            return Unreachable(
                "remote-refused", f"{self.name} refuses this site.", "Ask its owner to admit this site's key."
            )
        return Unreachable(
            "remote-away", f"{self.name} does not do what was asked ({answer.status}).", "Ask who keeps it."
        )


def _wait_at_most(connection: http.client.HTTPSConnection, wait_s: float) -> None:
    """Let a single read or write on a connection that is open take so long."""
    if connection.sock is not None:
        connection.sock.settimeout(wait_s)


def _parse(url: str, schemes: set[str], port: int) -> SplitResult:
    try:
        parts = urlsplit(url)
        found = parts.port or port
    except ValueError:
        parts, found = urlsplit(""), port
    if parts.scheme not in schemes or not parts.hostname or parts.path not in {"", "/"}:
        raise Misuse(
            "remote-url",
            "That is no address of a listener or proxy.",
            "Write https://host:port, and http:// for a proxy.",
        )
    user = "" if parts.username is None else f"{parts.username}:{parts.password or ''}@"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return urlsplit(f"{parts.scheme}://{user}{host}:{found}")


def _parse_page(body: bytes) -> list[Listed]:
    """Return what a page lists; a line that is none counts as missing."""
    found = []
    for line in body.decode("ascii", "replace").splitlines():
        name, _, size = line.partition(" ")
        if size.isascii() and size.isdigit() and len(size) <= 12 and len(name) <= 128:
            found.append(Listed(name, int(size)))
    return found
