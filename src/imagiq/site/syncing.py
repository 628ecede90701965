"""Sync: what all remotes of a federation bring, what is decided by it, and what goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from imagiq.errors import ImagiqError, Unreachable
from imagiq.exchange import Fetched, Publisher, Remote, RemotePeer
from imagiq.history import Entry, History
from imagiq.objects import Digest
from imagiq.site.acting import Done, act, carry_requests
from imagiq.site.connecting import connect
from imagiq.site.session import Session

Progress: TypeAlias = Callable[[Entry, Fetched], None]

__all__ = ["Progress", "RemoteNews", "Synced", "connected", "last_of", "sync_seat", "sync_with"]


@dataclass(frozen=True, kw_only=True)
class RemoteNews:
    """What came and went by one remote.

    Attributes:
        remote: What the owner calls it.
        came: How many commits and models came.
        commits: How many commits were put there.
        objects: How many other objects were.
        size: The bytes of both, sealed.
        error: Why it was not done, or not to the end.
    """

    remote: str
    came: int = 0
    commits: int = 0
    objects: int = 0
    size: int = 0
    error: ImagiqError | None = None


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What a sync of one federation did.

    Attributes:
        remotes: What came and went, by remote.
        done: What the site did by that: votes, requests that it carried, orders.
        is_member: Whether the site is a member now.
        newest: When the last known commit of each member was made, by its name; "": none is known.
    """

    remotes: tuple[RemoteNews, ...]
    done: tuple[Done, ...]
    is_member: bool
    newest: Mapping[str, str] = field(default_factory=dict)

    def after(self, failed: Sequence[RemoteNews]) -> Synced:
        """Return it with what failed before."""
        return replace(self, remotes=(*failed, *self.remotes))


def sync_seat(session: Session, *, insist: bool = False, progress: Progress = lambda *_: None) -> Synced:
    """Sync a federation with all its remotes; one that fails does not keep the others from being asked.

    Args:
        session: The federation.
        insist: The owner has just said something: vote even where others did not follow before.
        progress: Called as models are fetched, with the commit and how far that is.

    Raises:
        Unreachable: the own disk failed.
    """
    with ExitStack() as stack:
        peers, failed = connected(session, stack)
        return sync_with(session, peers, insist=insist, progress=progress).after(failed)


def connected(session: Session, stack: ExitStack) -> tuple[dict[str, RemotePeer], list[RemoteNews]]:
    """Connect to the remotes of a federation; return them by name, and why others are none."""
    peers: dict[str, RemotePeer] = {}
    failed: list[RemoteNews] = []
    for settings in session.seat.remotes():
        try:
            remote = connect(settings, session.key, base=session.seat.path)
        except ImagiqError as error:
            failed.append(RemoteNews(remote=settings.name, error=error))
            continue
        peer = RemotePeer(remote, session.bench, session.ring, clock=session.clock, read_only=settings.read_only)
        peers[settings.name] = stack.enter_context(peer)
    return peers, failed


def sync_with(
    session: Session,
    peers: Mapping[str, RemotePeer],
    *,
    insist: bool = False,
    progress: Progress = lambda *_: None,
) -> Synced:
    """Sync a federation with these remotes: learn from all, do what follows, then publish to all; see :func:`sync_seat`."""
    before = len(session.bench.history)
    session.start(list(peers.values()))
    at_start = len(session.bench.history) - before
    publishers = {name: Publisher(peer) for name, peer in peers.items() if not peer.read_only}
    news = {name: _learn(session, name, peer) for name, peer in peers.items()}
    _fetch(session, {n: peer for n, peer in peers.items() if news[n].error is None}, publishers, news, progress)
    if at_start and news:  # asked whether this store is an old one, they brought news already
        first = next(iter(news))
        news[first] = replace(news[first], came=news[first].came + at_start)
    done: list[Done] = []
    for name, peer in peers.items():
        if news[name].error is None:
            done += _carried(session, peer.shelf.remote)
    if session.site.why_not is None:
        done += act(session, insist=insist)
    session.refresh()
    if session.may_publish:
        news |= {name: _push(publisher, news[name]) for name, publisher in publishers.items()}
    return Synced(
        remotes=tuple(news.values()), done=tuple(done), is_member=session.is_member, newest=newest_of(session)
    )


def _learn(session: Session, name: str, peer: RemotePeer) -> RemoteNews:
    try:
        return RemoteNews(remote=name, came=session.site.learn(peer))
    except Unreachable as error:
        return RemoteNews(remote=name, error=error)


def _fetch(
    session: Session,
    peers: Mapping[str, RemotePeer],
    publishers: Mapping[str, Publisher],
    news: dict[str, RemoteNews],
    progress: Progress,
) -> None:
    """Fetch the models that are needed from all remotes side by side, and pass the pieces on where authors do not come."""
    if not peers:
        return

    def pass_on(entry: Entry, pieces: Sequence[Digest]) -> None:
        for name in publishers.keys() & peers.keys() if session.may_publish else ():
            if entry.site not in peers[name].writers and news[name].error is None:
                try:
                    publishers[name].pass_on(entry, pieces)
                except ImagiqError as error:
                    news[name] = replace(news[name], error=error)

    first = next(iter(peers))
    try:
        came = session.site.fetch(list(peers.values()), progress=progress, kept=pass_on)
        news[first] = replace(news[first], came=news[first].came + came)
    except Unreachable as error:
        news[first] = replace(news[first], error=error)
    session.site.attest()


def _carried(session: Session, remote: Remote) -> list[Done]:
    try:
        return carry_requests(session, remote)
    except Unreachable as error:
        return [Done(what=f"looked for requests on {remote.name}", error=error)]


def _push(publisher: Publisher, news: RemoteNews) -> RemoteNews:
    if news.error is not None:
        return news
    try:
        sent = publisher.publish()
    except ImagiqError as error:
        return RemoteNews(remote=news.remote, came=news.came, error=error)
    return RemoteNews(remote=news.remote, came=news.came, commits=sent.commits, objects=sent.objects, size=sent.size)


def newest_of(session: Session) -> dict[str, str]:
    """Return when each member's last commit that is known here was made, as it says; "": none is known."""
    history = session.bench.history
    return {member.name: last_of(history, member.site_key) for member in session.charter.members}


def last_of(history: History, site: str) -> str:
    """Return when the last known commit of a site was made, as it says; "": none is known."""
    heads = [history[head] for feed in history.feeds_of(site) for head in history.heads[feed]]
    last = max(heads, key=lambda entry: entry.order, default=None)
    return "" if last is None else last.commit.created
