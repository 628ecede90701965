"""Sealing, and what remotes cost beside what carries them: TLS in Python, obstore, AES, a folder with nothing new."""

from __future__ import annotations

import socket
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path

import numpy as np
import obstore
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.budgets.decide import site_of
from benchmarks.budgets.federation import found
from benchmarks.budgets.long_history import Feeds, commits_of
from benchmarks.budgets.raw_tls import MEMBER, PSEUDONYM, SERVER, far_end
from benchmarks.table import Row
from benchmarks.timing import alternately, seconds
from imagiq.bench import Bench
from imagiq.clock import SystemClock, VirtualClock
from imagiq.exchange import FolderRemote, Keyring, Publisher, Remote, RemotePeer
from imagiq.exchange.certificates import tls_context
from imagiq.exchange.https import HttpsRemote
from imagiq.exchange.sealing import PIECE_BYTES, SealKey
from imagiq.objects import digest_of
from imagiq.store import MemoryStore
from tests.exchange.weed import bucket, weed

BLOB = 2**22
SECRET = bytes(range(32))
HTTPS, BUCKET, SYNC_MS = 0.6, 1.5, 100


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure each."""
    blobs = [np.random.default_rng(seed).bytes(BLOB) for seed in range(8 if quick else 50)]
    return [*_sealing(blobs), *_https(blobs), *_bucket(blobs), *_nothing_new(2_000 if quick else 100_000)]


def _blob(number: int) -> str:
    return f"{PSEUDONYM}/blobs/{digest_of(number.to_bytes(8, 'little'))}"


def _sealing(blobs: Sequence[bytes]) -> Sequence[Row]:
    key, cipher = SealKey(b"k" * 32, "models"), AESGCM(bytes(32))
    digests = [digest_of(blob) for blob in blobs]
    sealed = [key.seal(*pair) for pair in zip(blobs, digests, strict=True)]

    def bare() -> None:
        for blob in blobs:
            for at in range(0, BLOB, PIECE_BYTES):
                cipher.encrypt(at.to_bytes(12, "little"), blob[at : at + PIECE_BYTES], None)

    def at_once() -> None:
        for blob in blobs:
            cipher.encrypt(bytes(12), blob, None)

    sealing_s, line_s, whole_s = alternately(
        lambda: [key.seal(*pair) for pair in zip(blobs, digests, strict=True)], bare, at_once, repeats=5
    )
    opening_s, hashing_s = alternately(
        lambda: [key.open(name, raw, limit=BLOB) for name, raw in sealed],
        lambda: list(map(digest_of, blobs)),
        repeats=5,
    )
    what, megabytes = f"{len(blobs)} blobs of 4 MiB", len(blobs) * BLOB / 1e6
    return [
        Row(what=f"seal {what}", measured=sealing_s, unit="s", line="AES-256-GCM in pieces", limit=line_s,
            note=f"{megabytes / sealing_s:,.0f} MB/s; in one shot each AES takes {whole_s:.3f} s."),
        Row(what=f"open {what}", measured=opening_s, unit="s", line="AES in pieces, and hash",
            limit=line_s + hashing_s, note=f"{megabytes / opening_s:,.0f} MB/s"),
    ]  # fmt: skip


def _https(blobs: Sequence[bytes]) -> Sequence[Row]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        raw_port = stack.enter_context(far_end("raw", folder))
        remote = HttpsRemote(
            f"https://127.0.0.1:{stack.enter_context(far_end('listener', folder))}", MEMBER, SERVER.public
        )
        stack.callback(remote.close)
        putting_s = seconds(lambda: _put_all(remote, blobs))
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", raw_port)))
        context = tls_context(MEMBER, [SERVER.public], server=False)
        raw = stack.enter_context(context.wrap_socket(plain))
        buffer = memoryview(bytearray(2**20))

        def receive() -> None:
            for _ in blobs:
                raw.sendall(str(BLOB).encode())
                left = BLOB
                while left > 0:
                    left -= raw.recv_into(buffer[: min(left, len(buffer))])

        def get_all() -> None:
            for number, blob in enumerate(blobs):
                found = remote.get(_blob(number), length=BLOB + 1)
                assert found is not None
                assert len(found) == len(blob)

        getting_s, line_s = alternately(get_all, receive, repeats=5)
        with ThreadPoolExecutor(8) as pool:
            side_by_side_s = seconds(lambda: list(pool.map(lambda n: remote.get(_blob(n)), range(len(blobs)))))
        small_s = seconds(lambda: [remote.get(_blob(0), length=2_000) for _ in range(500)])
    what, megabytes = f"https: {len(blobs)} blobs of 4 MiB", len(blobs) * BLOB / 1e6
    return [
        Row(what=f"{what}, get", measured=getting_s, unit="s", line="raw mutual TLS socket", limit=line_s,
            budget=f"1 / {HTTPS} x line", most=line_s / HTTPS,
            note=f"{megabytes / getting_s:,.0f} MB/s, raw {megabytes / line_s:,.0f} MB/s; "
            f"8 side by side {megabytes / side_by_side_s:,.0f} MB/s; {500 / small_s:,.0f} small objects a second."),
        Row(what=f"{what}, put", measured=putting_s, unit="s", note=f"{megabytes / putting_s:,.0f} MB/s, each synced."),
    ]  # fmt: skip


def _put_all(remote: Remote, blobs: Sequence[bytes]) -> None:
    for number, blob in enumerate(blobs):
        assert remote.put_if_absent(_blob(number), blob)


def _bucket(blobs: Sequence[bytes]) -> Sequence[Row]:
    with tempfile.TemporaryDirectory() as folder, weed(Path(folder)) as endpoint:
        remote = bucket(endpoint, "measured")
        store = remote._store  # noqa: SLF001 - the very same store, without imagiq
        names = iter(count())

        def put(call: Callable[[str, bytes], object]) -> Callable[[], None]:
            def put_all() -> None:
                for blob in blobs:
                    call(_blob(10**6 + next(names)), blob)

            return put_all

        putting_s, put_line_s = alternately(
            put(remote.put_if_absent),
            put(lambda name, blob: obstore.put(store, name, blob, mode="create", use_multipart=False)),
            repeats=5,
        )
        getting_s, get_line_s = alternately(
            lambda: [remote.get(_blob(10**6 + number), length=BLOB + 1) for number in range(len(blobs))],
            lambda: [obstore.get(store, _blob(10**6 + n)).bytes().to_bytes() for n in range(len(blobs))],
            repeats=5,
        )
        remote.close()
    what, budget = f"bucket: {len(blobs)} blobs of 4 MiB", f"{BUCKET} x line"
    return [
        Row(what=f"{what}, put", measured=putting_s, unit="s", line="obstore alone", limit=put_line_s, budget=budget,
            most=BUCKET * put_line_s),
        Row(what=f"{what}, get", measured=getting_s, unit="s", line="obstore alone", limit=get_line_s, budget=budget,
            most=BUCKET * get_line_s),
    ]  # fmt: skip


def _nothing_new(commits: int) -> Sequence[Row]:
    """Publish a long history of 20 sites, then look whether there is more of it."""
    federation = found(20)
    name, author = next(iter(federation.authors.items()))
    bench = Bench(MemoryStore(), federation.charter, clock=VirtualClock(), author=author)
    bench.admit([vote.raw for vote in federation.votes], "founding")
    raws = (commit.raw for commit in commits_of("latest-of-each", Feeds(federation)))
    bench.admit(islice(raws, commits), "a peer")
    ring = Keyring.join(bench.store, author.site, federation.charter.digest, SECRET)
    with tempfile.TemporaryDirectory() as folder:
        remote = FolderRemote(folder, sync=False)
        for other in federation.authors.values():
            theirs = Keyring.join(MemoryStore(), other.site, federation.charter.digest, SECRET)
            own = theirs.own(bench.standing, federation.charter)
            exchange_keys = [member.exchange_key for member in federation.charter.members]
            for held in (own.commits, own.models):
                ring.learn(theirs.wrap(held, exchange_keys), ring.sites(bench.standing))
        ring.save()
        publishing_s = seconds(lambda: _publish(bench, ring, remote))
        ring = Keyring.open(bench.store, author.site)
        site = site_of(name, bench)
        with RemotePeer(remote, bench, ring, clock=SystemClock()) as peer:
            first_s = seconds(lambda: site.sync(peer))
            again_s = statistics.median(seconds(lambda: site.sync(peer)) for _ in range(20))
            publisher = Publisher(peer)
            publisher.publish()
            publish_s = statistics.median(seconds(publisher.publish) for _ in range(20))
    what = f"folder, {commits:,} commits of 20 sites"
    return [
        Row(what=f"{what}: a sync with nothing new", measured=1000 * again_s, unit="ms", budget=f"{SYNC_MS} ms",
            most=SYNC_MS, note=f"The first after a start, which lists all: {first_s:.2f} s."),
        Row(what=f"{what}: a publish with nothing new", measured=1000 * publish_s, unit="ms",
            note=f"Publishing all of it took {publishing_s:.0f} s."),
    ]  # fmt: skip


def _publish(bench: Bench, ring: Keyring, remote: FolderRemote) -> None:
    with RemotePeer(remote, bench, ring, clock=SystemClock()) as peer:
        published = Publisher(peer).publish()
        assert published.unsealed == 0
        assert published.commits == len(bench.history)
