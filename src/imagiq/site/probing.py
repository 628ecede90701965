"""Probing a remote hop by hop, so that the one that fails can be named."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from imagiq.errors import ImagiqError
from imagiq.exchange import Remote
from imagiq.keys import SiteKey
from imagiq.site.connecting import connect_once
from imagiq.site.settings import RemoteSettings

__all__ = ["Hop", "probe"]

LINE_S: Final = 10.0
LEAST_FREE_BYTES: Final = 2**30
PORTS: Final = {"https": 443, "http": 80}
LISTENER_PORT: Final = 8470
PROXY_PORT: Final = 3128
_HOPS: Final = {
    "remote-proxy": "proxy",
    "remote-key": "certificate",
    "remote-tls": "certificate",
    "remote-refused": "admission",
    "remote-read-only": "rights",
    "remote-full": "room",
    "remote-busy": "quota",
}


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One step on the way to a remote.

    Attributes:
        name: Which: ``address``, ``name``, ``line``, ``proxy``, ``certificate``, ``admission``, ``answer``, ``room`` ...
        ok: Whether it is passed.
        what: What was found.
        advice: What to do; "" if nothing needs to be.
    """

    name: str
    ok: bool
    what: str
    advice: str = ""


def probe(settings: RemoteSettings, key: SiteKey, pseudonyms: list[str], *, own: str, base: Path) -> list[Hop]:
    """Go to a remote step by step, and return the steps up to the first that fails.

    Args:
        settings: The remote.
        key: The site's key.
        pseudonyms: Of the members: whom to ask for news of.
        own: This site's: what it has put there already, its wrapped keys, is put there once more, to see that it can be.
        base: What the path of a folder is relative to.
    """
    hops: list[Hop] = []
    for hop in _hops(settings, key, pseudonyms, own, base):
        hops.append(hop)
        if not hop.ok:
            break
    return hops


def _hops(settings: RemoteSettings, key: SiteKey, pseudonyms: list[str], own: str, base: Path) -> Iterator[Hop]:
    if settings.kind == "folder":
        yield from _folder(base / settings.address, read_only=settings.read_only)
    else:
        yield from _line(settings)
    try:
        remote = connect_once(settings, key, base=base)
        try:
            remote.news(pseudonyms)
            for pseudonym in pseudonyms[:1]:
                next(iter(remote.list(f"{pseudonym}/feeds")), None)
            is_written = not settings.read_only and _put_again(remote, f"{own}/keys")
        finally:
            remote.close()
    except ImagiqError as error:
        yield Hop(name=_HOPS.get(error.code, "answer"), ok=False, what=error.what, advice=error.advice)
        return
    yield Hop(name="answer", ok=True, what="It answers, and lists what is there.")
    if is_written:
        yield Hop(name="writing", ok=True, what="It takes what this site puts there.")


def _put_again(remote: Remote, folder: str) -> bool:
    """Put something once more that is there; tell whether there was anything."""
    listed = next(iter(remote.list(folder)), None)
    content = None if listed is None else remote.get(f"{folder}/{listed.name}")
    if listed is None or content is None:
        return False
    remote.replace(f"{folder}/{listed.name}", content)
    return True


def _folder(path: Path, *, read_only: bool) -> Iterator[Hop]:
    try:
        is_there = path.is_dir()
    except OSError as error:
        yield Hop(name="folder", ok=False, what=f"{path}: {error.strerror}.", advice="Check its name and rights.")
        return
    if not is_there:
        yield Hop(name="folder", ok=False, what=f"{path} is not there.", advice="Mount the drive, or make the folder.")
        return
    yield Hop(name="folder", ok=True, what=f"{path} is there.")
    if not read_only:
        writable = os.access(path, os.W_OK | os.X_OK)
        what = "It can be written." if writable else f"Nothing can be written to {path}."
        yield Hop(name="rights", ok=writable, what=what, advice="" if writable else "Permit it, or mount it writable.")
        free = shutil.disk_usage(path).free
        advice = "" if free >= LEAST_FREE_BYTES else "Make room there."
        yield Hop(name="room", ok=not advice, what=f"{free / 1e9:.1f} GB are free there.", advice=advice)


def _line(settings: RemoteSettings) -> Iterator[Hop]:
    """Look the name up and open a line: to the proxy, where there is one."""
    found = _first_stop(settings)
    if found is None:
        return
    what, host, port = found
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        yield Hop(
            name="name",
            ok=False,
            what=f"No address is known for {what}, {host}.",
            advice="Check its name, and this machine's DNS.",
        )
        return
    yield Hop(name="name", ok=True, what=f"{what.capitalize()}, {host}, is at {places[0][4][0]}.")
    try:
        socket.create_connection((host, port), timeout=LINE_S).close()
    except OSError as error:
        yield Hop(
            name="line",
            ok=False,
            what=f"{what.capitalize()} does not answer at {host}, port {port} ({type(error).__name__}).",
            advice=f"Let the firewall pass outgoing connections to {host}, port {port}, or check that it runs.",
        )
        return
    yield Hop(name="line", ok=True, what=f"Port {port} there is open.")


def _first_stop(settings: RemoteSettings) -> tuple[str, str, int] | None:
    """Return whom this site connects to: what it is, its host and port; None: the provider's own, by region."""
    if settings.proxy:
        parts = urlsplit(settings.proxy)
        return ("the proxy", parts.hostname or "", parts.port or PROXY_PORT)
    address = settings.address if settings.kind == "https" else settings.config.get("endpoint", settings.address)
    parts = urlsplit(address)
    if parts.scheme not in PORTS or not parts.hostname:
        return None
    port = LISTENER_PORT if settings.kind == "https" else PORTS[parts.scheme]
    return ("the listener" if settings.kind == "https" else "the bucket", parts.hostname, parts.port or port)
