"""The https listener over a sealed folder: a site's own, or a relay for others in a DMZ.

It knows who may come, by their keys, and under which pseudonym each may write. It holds no key that opens anything.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType, TracebackType
from typing import Final, Self

from aiohttp import web

from imagiq.clock import Clock, SystemClock
from imagiq.errors import ImagiqError, Misuse, Unreachable, Untrusted
from imagiq.exchange.certificates import peer_key, tls_context, trust
from imagiq.exchange.folder import FolderRemote
from imagiq.exchange.https import LONGEST_POLL_S, PAGE
from imagiq.exchange.quota import Allowance, Quota
from imagiq.exchange.remote import FEEDS, HEAD, OBJECT_LIMIT, SLOWEST_BYTES_S, check_folder, check_name
from imagiq.keys import SiteKey

__all__ = ["Listener"]

BODY_S: Final = 30.0
"""So long a body may take to come, beside what its size takes on the slowest line: nobody holds a place with a few bytes."""
LONGEST_BODY_S: Final = 300.0
HANDSHAKE_S: Final = 15.0
LONGEST_DELAY_S: Final = 10.0
WATCH_S: Final = 0.1
STATUS: Final = MappingProxyType({"remote-full": 507, "remote-read-only": 423})
AT_ONCE: Final = 32
"""So many bodies are held at a time, of all members together."""
PER_MEMBER: Final = 16
_RANGE = re.compile(r"bytes=([0-9]{1,12})-([0-9]{1,12})")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _unheard() -> logging.Logger:
    """Return a logger that drops everything: what others send is answered, and never fills a log with tracebacks."""
    logger = logging.getLogger("imagiq.listener")
    logger.disabled = True
    return logger


def _reason(error: OSError | OverflowError | UnicodeError) -> str:
    return error.strerror or "no such address" if isinstance(error, OSError) else "no such address"


class _Member:
    """A site that may come."""

    def __init__(self, pseudonym: str, quota: Quota) -> None:
        self.pseudonym = pseudonym
        self.quota = quota
        self.places = asyncio.Semaphore(PER_MEMBER)


class Listener:
    """Serves a folder remote over https, in a thread of its own.

    Args:
        folder: The sealed folder; others on this machine may use it at the same time.
        site: The keys of who listens.
        admits: The pseudonyms of those who may come, by their site keys, hexadecimal.
        host: The address to listen at.
        port: The port; 0: any that is free.
        allowance: How much each member may write.
        clock: For quotas.
    """

    def __init__(
        self,
        folder: Path,
        site: SiteKey,
        admits: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allowance: Allowance | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._folder = FolderRemote(folder)
        self._allowance = allowance or Allowance()
        self._clock = clock or SystemClock()
        self._context = tls_context(site, (), server=True)
        self._members: Mapping[str, _Member] = {}
        self.admit(admits)
        self._host = host
        self.port = port
        """The port it listens at, once it does."""
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="listener", daemon=True)
        self._ready = Event()
        self._failed: OSError | OverflowError | UnicodeError | None = None
        self._stopping: asyncio.Event | None = None
        self._changed: asyncio.Event | None = None
        self._bodies: asyncio.Semaphore | None = None

    def admit(self, admits: Mapping[str, str]) -> None:
        """Admit these sites from now on and no others; who is connected is asked again at its next request."""
        trust(self._context, admits.keys() - self._members.keys())
        self._members = {
            key: self._members.get(key) or _Member(pseudonym, Quota(self._allowance, self._clock))
            for key, pseudonym in admits.items()
        }

    # ------------------------------------------------------------------------------------------ start and stop

    def start(self) -> Self:
        """Begin to listen.

        Raises:
            Unreachable: the address cannot be listened at.
        """
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise Unreachable(
                "listener-address",
                f"Nothing can listen at {self._host}, port {self.port}: {_reason(self._failed)}.",
                "Choose another port, or stop what listens there.",
            ) from self._failed
        return self

    def stop(self) -> None:
        """End all connections; a second call does nothing."""
        if self._thread.is_alive():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop)
            self._thread.join()
        self._folder.close()

    def _stop(self) -> None:
        if self._stopping is not None:
            self._stopping.set()

    def __enter__(self) -> Self:
        """Begin to listen."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stopping, self._changed = asyncio.Event(), asyncio.Event()
        self._bodies = asyncio.Semaphore(AT_ONCE)
        application = web.Application(client_max_size=OBJECT_LIMIT, middlewares=[self._known_only])
        application.router.add_get("/1/o/{name:.*}", self._get)
        application.router.add_put("/1/o/{name:.*}", self._put)
        application.router.add_get("/1/l/{name:.*}", self._list)
        application.router.add_get("/1/n", self._news)
        runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=0.5, logger=_unheard()
        )
        await runner.setup()
        protocol: Callable[[], asyncio.BaseProtocol] = runner.server  # type: ignore[assignment]
        try:
            server = await self._loop.create_server(
                protocol,
                self._host,
                self.port,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=1.0,
            )
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stopping.wait()
            server.close()
        except (OSError, OverflowError, UnicodeError) as error:  # a port above 65535; a name that no host can have
            self._failed = error
        finally:
            await self._end(runner)

    async def _end(self, runner: web.AppRunner) -> None:
        """End all connections at once: whoever was cut off asks again, here or elsewhere."""
        for connection in runner.server.connections if runner.server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:  # who waited for its quota
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._loop.shutdown_default_executor()
        await asyncio.sleep(0.01)  # what was ended is taken down in the loop's next turns

    # ---------------------------------------------------------------------------------------------- requests

    def _member(self, request: web.Request) -> _Member:
        """Return who asks, proven by TLS.

        Raises:
            Untrusted: nobody who may.
        """
        secured = request.get_extra_info("ssl_object")
        if not isinstance(secured, ssl.SSLObject):
            raise Untrusted("tls-key", "The other side has shown no certificate.", "Use https.")
        member = self._members.get(peer_key(secured.getpeercert(binary_form=True)))
        if member is None:
            raise Untrusted("tls-member", "The other side's key is not admitted here.", "Ask who keeps the listener.")
        return member

    @web.middleware
    async def _known_only(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            member = self._member(request)
            async with member.places:
                return await handler(request)
        except Untrusted:
            return web.Response(status=403)
        except Misuse:
            return web.Response(status=404)
        except Unreachable as error:
            return web.Response(status=STATUS.get(error.code, 503))
        except ImagiqError:
            return web.Response(status=500)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        name = check_name(request.match_info["name"])
        wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
        start, last = (int(wanted[1]), int(wanted[2])) if wanted else (0, OBJECT_LIMIT)
        length = min(OBJECT_LIMIT + 1, last - start + 1)
        found = await asyncio.to_thread(self._folder.get, name, start=start, length=length)
        if found is None:
            return web.Response(status=404)
        if not found:
            return web.Response(status=416)
        return web.Response(status=206, body=found)

    async def _put(self, request: web.Request) -> web.StreamResponse:
        member = self._member(request)
        name = check_name(request.match_info["name"])
        if name.partition("/")[0] != member.pseudonym:
            return web.Response(status=403)
        size = request.content_length
        if size is None or size > OBJECT_LIMIT:
            return web.Response(status=413)
        waited_s = 0.0
        while (delay_s := member.quota.wait_s(size)) > 0:
            if waited_s + delay_s > LONGEST_DELAY_S:
                return web.Response(status=429, headers={"Retry-After": str(round(delay_s) + 1)})
            await asyncio.sleep(delay_s)
            waited_s += delay_s
        return await self._take(request, name, size)

    async def _take(self, request: web.Request, name: str, size: int) -> web.Response:
        if self._bodies is None or self._changed is None:
            return web.Response(status=503)
        async with self._bodies:
            try:
                async with asyncio.timeout(min(LONGEST_BODY_S, BODY_S + size / SLOWEST_BYTES_S)):
                    body = await request.read()
            except (TimeoutError, ConnectionError, web.HTTPException):
                return web.Response(status=408)
            if len(body) != size:
                return web.Response(status=400)
            if request.headers.get("If-None-Match") == "*":
                is_new = await asyncio.to_thread(self._folder.put_if_absent, name, body)
                return web.Response(status=201 if is_new else 412)
            await asyncio.to_thread(self._folder.replace, name, body)
        if name.endswith(f"/{FEEDS}/{HEAD}"):
            self._changed.set()
            self._changed = asyncio.Event()
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        folder, after = check_folder(request.match_info["name"]), request.query.get("after", "")

        def page() -> bytes:
            lines = []
            for listed in self._folder.list(folder, after=after):
                lines.append(f"{listed.name} {listed.size}\n")
                if len(lines) == PAGE:
                    break
            return "".join(lines).encode("ascii", "replace")

        return web.Response(body=await asyncio.to_thread(page))

    async def _news(self, request: web.Request) -> web.StreamResponse:
        """Answer when there is news, or after a while. What comes through this listener is seen at once."""
        since = request.query.get("since", "")
        try:
            left_s = min(LONGEST_POLL_S, float(request.query.get("wait", "0")))
        except ValueError:
            left_s = 0.0
        sites = sorted(member.pseudonym for member in self._members.values())
        while True:
            word = await asyncio.to_thread(self._folder.news, sites)
            if word != since or left_s <= 0 or self._changed is None:
                return web.Response(body=word.encode("ascii"))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), WATCH_S)
            left_s -= WATCH_S
