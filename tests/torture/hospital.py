"""A real process: one site that trains, merges, and syncs with the folders of its neighbours, until it is killed.

It prints the digest of each commit once that is durable: what was printed may never be lost.

    python tests/torture/hospital.py FOLDER NAME [--until-quiet]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imagiq.bench import Author, Bench, Checks
from imagiq.clock import SystemClock
from imagiq.errors import ImagiqError, NotFound
from imagiq.exchange import BenchPeer
from imagiq.keys import FeedKey
from imagiq.objects import Charter
from imagiq.site import FileMark, Local, Planned, Site
from imagiq.site.sources import SiteCases
from imagiq.store import FolderStore
from imagiq.strategies import BUILT_IN
from tests.bench.town import feed_key, founding_charter, site_key
from tests.site.plain import Plain

NAMES = ("a", "b", "c")
FOUNDING: Charter = founding_charter(NAMES)
STEPS = 1_000_000


def store_of(folder: Path, name: str) -> Path:
    """Return where a site's store is."""
    return folder / name / ".imagiq"


def open_site(folder: Path, name: str, checks: Checks) -> Site:
    """Open a site's store, or make it."""
    path = store_of(folder, name)
    try:
        store = FolderStore.open(path)
    except NotFound:
        path.parent.mkdir(exist_ok=True)
        store = FolderStore.create(path)
    seed = store.secret_read("feed")
    feed = feed_key(name) if seed is None else FeedKey(seed)
    store.secret_write("feed", feed.seed)
    clock = SystemClock()
    bench = Bench(store, FOUNDING, clock=clock, author=Author(site_key(name), feed), checks=checks)
    plain = Plain()
    local = Local(
        cases=lambda: SiteCases(training=range(10), held_back=range(0)),
        data=name,
        learner_of=lambda _: plain,
        strategies=BUILT_IN,
        accepts=lambda _: True,
        audit_draw=lambda _: 999,
    )
    return Site(name, bench, local, clock=clock, mark=FileMark(folder / f"{name}.mark"))


def peers_of(folder: Path, name: str, checks: Checks) -> list[BenchPeer]:
    """Open what the neighbours' folders hold at this moment, for reading."""
    peers = []
    for other in NAMES:
        if other != name and (store_of(folder, other) / "format").exists():
            store = FolderStore.open(store_of(folder, other), read_only=True)
            peers.append(BenchPeer(other, Bench(store, FOUNDING, clock=SystemClock(), checks=checks, read_only=True)))
    return peers


def sync(site: Site, folder: Path, checks: Checks) -> int:
    """Learn what the neighbours have; return how much was new."""
    return sum(site.sync(peer) for peer in peers_of(folder, site.name, checks))


def work(site: Site) -> bool:
    """Do one action, if there is one; say what is durable."""
    planned = site.plan()
    if not isinstance(planned, Planned):
        return False
    site.begin(planned)
    entry = site.finish(planned)
    if entry is not None:
        print(entry.digest, flush=True)
    return entry is not None


def main() -> int:
    """Run the site."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--until-quiet", action="store_true", help="only sync, and end when nothing is new")
    arguments = parser.parse_args()
    checks = Checks()
    site = open_site(arguments.folder, arguments.name, checks)
    site.start(peers_of(arguments.folder, arguments.name, checks))
    if not site.bench.standing.votes or site.name not in {vote.voter for vote in site.bench.standing.votes}:
        entry = site.vote(FOUNDING)
        print("" if entry is None else entry.digest, flush=True)
    if arguments.until_quiet:
        while sync(site, arguments.folder, checks):
            pass
        return 0
    while True:
        try:
            sync(site, arguments.folder, checks)
            for _ in range(3):
                work(site)
        except ImagiqError as error:
            print(f"# {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
