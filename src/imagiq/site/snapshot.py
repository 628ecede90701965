"""From a federation, running or at rest, to its status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from imagiq.bench import Bench
from imagiq.bench.repository import open_repository
from imagiq.clock import Clock
from imagiq.errors import ImagiqError
from imagiq.exchange import Closed
from imagiq.federation import Action, Evaluate, Finished, Merge, Study, Train, Wait, Work
from imagiq.objects import Digest
from imagiq.site.agenda import StudyItem, studies_of
from imagiq.site.fetches import fetch_status
from imagiq.site.founding import my_name
from imagiq.site.freshness import long_unheard, unread
from imagiq.site.home import Home, Seat
from imagiq.site.line import Line
from imagiq.site.running import Running
from imagiq.site.settings import RemoteSettings
from imagiq.site.status import FederationStatus, RemoteStatus, SiteStatus, Status, StudyStatus, Trouble

__all__ = ["closed_status", "running_status", "status_at_rest"]

WORKS = {Train: "trains", Merge: "merges", Evaluate: "evaluates"}
ANSWERS = {"ask": "asks", "refuse": "refused", "": "not asked"}


def running_status(running: Running) -> FederationStatus:
    """Return how a running federation is; it takes its turn at the bench."""
    try:
        with running.turns:
            return _running_status(running)
    except Closed:
        return FederationStatus(name=running.name)
    except ImagiqError as error:  # a disk that fails
        return closed_status(running.session.seat, error)


def _running_status(running: Running) -> FederationStatus:
    session = running.session
    site, bench = session.site, session.bench
    items, trouble = _items(session.home, session.seat, bench, site.name)
    trouble = trouble or _trouble(running.trouble)
    actions = {} if trouble is not None else site.actions()
    return FederationStatus(
        name=running.name,
        title=session.charter.title,
        version=0 if bench.standing.ruling is None else bench.standing.ruling.version,
        is_member=session.is_member,
        why_not=site.why_not or site.paused or "",
        trouble=trouble,
        remotes=tuple(_remote(line.settings, line) for line in running.lines.values()),
        sites=tuple(_sites(bench, site.name, running.lines)),
        unheard=long_unheard(bench, session.clock.now_s()),
        unread=unread(bench),
        studies=tuple(_study(item, actions.get(item.study.digest), running) for item in items),
        fetching=None if running.fetching is None else fetch_status(bench, *running.fetching),
    )


def _items(home: Home, seat: Seat, bench: Bench, me: str) -> tuple[tuple[StudyItem, ...], Trouble | None]:
    """Return the studies, or what is wrong with a file of the owner's that says which of them are accepted."""
    try:
        return tuple(studies_of(home, seat, bench, me)), None
    except ImagiqError as error:
        return (), _trouble(error)


def closed_status(seat: Seat, error: ImagiqError) -> FederationStatus:
    """Return how a federation is that cannot be opened."""
    return FederationStatus(name=seat.name, trouble=_trouble(error))


def status_at_rest(home: Home, seats: tuple[Seat, ...], clock: Clock) -> Status:
    """Return how a site is that does not run, from what it has on its disk."""
    return Status(pid=None, federations=tuple(_at_rest(home, seat, clock) for seat in seats))


def _at_rest(home: Home, seat: Seat, clock: Clock) -> FederationStatus:
    try:
        bench = open_repository(seat.path, clock=clock)
        me = my_name(home, seat, bench)
        charter = bench.standing.ruling
        items, trouble = _items(home, seat, bench, me)
        return FederationStatus(
            name=seat.name,
            title=(charter or bench.founding).title,
            version=0 if charter is None else charter.version,
            is_member=charter is not None and me in {member.name for member in charter.members},
            trouble=trouble,
            remotes=tuple(map(_remote, seat.remotes())),
            sites=tuple(_sites(bench, me, {})),
            unheard=long_unheard(bench, clock.now_s()),
            unread=unread(bench),
            studies=tuple(_study(item, None, None) for item in items),
        )
    except ImagiqError as error:
        return closed_status(seat, error)


def _remote(settings: RemoteSettings, line: Line | None = None) -> RemoteStatus:
    found = RemoteStatus(name=settings.name, kind=settings.kind, address=settings.address)
    if line is None:
        return found
    state = line.state
    return replace(found, doing=state.doing, contact_s=state.contact_s, trouble=_trouble(state.error))


def _sites(bench: Bench, me: str, lines: Mapping[str, Line]) -> Iterator[SiteStatus]:
    charter, history = bench.standing.charter, bench.history
    titles = {digest: steps.study.title for digest, steps in bench.studies.items()}
    heard = {name: line.news_s for name, line in lines.items()}
    for member in charter.members:
        news = [(times[member.site_key], name) for name, times in heard.items() if member.site_key in times]
        heads = [history[head] for feed in history.feeds_of(member.site_key) for head in history.heads[feed]]
        newest = max(heads, key=lambda entry: entry.order, default=None)
        heard_s, by = max(news, default=(None, ""))
        yield SiteStatus(
            name=member.name,
            is_me=member.name == me,
            heard_s=heard_s,
            by=by,
            made="" if newest is None else newest.commit.created,
            last="" if newest is None else _last(newest.commit.recipe.name, newest.commit.study, titles),
        )


def _last(recipe: str, study: Digest | None, titles: Mapping[Digest, str]) -> str:
    title = titles.get(study) if study is not None else None
    return recipe if title is None else f"{recipe} in {title}"


def _study(item: StudyItem, action: Action | None, running: Running | None) -> StudyStatus:
    state, why = _state(item, action, running)
    advance = None if running is None else running.advance
    is_mine = running is not None and running.doing is not None and running.doing.study.digest == item.study.digest
    share = advance.done / advance.budget if is_mine and advance is not None and advance.budget else None
    return StudyStatus(
        digest=item.study.digest,
        title=item.study.title,
        state=state,
        why=why,
        share=share,
        steps=item.study.steps,
        made=dict(item.done),
    )


def _state(item: StudyItem, action: Action | None, running: Running | None) -> tuple[str, str]:
    if item.stopped:
        return "ended", ""
    if item.answer != "accept":
        return ANSWERS[item.answer], item.why
    if running is None:
        return "", ""
    if running.doing is not None and running.doing.study.digest == item.study.digest:
        return WORKS[type(running.doing.work)], ""
    return _waiting(action, running, item.study)


def _waiting(action: Action | None, running: Running, study: Study) -> tuple[str, str]:
    if action is None:
        return "waits", running.session.site.why_not or "membership"
    if isinstance(action, Finished):
        return "done", "news from others"
    if isinstance(action, Wait):
        return "waits", action.why
    return "waits", _why_not_yet(action, running, study)


def _why_not_yet(work: Work, running: Running, study: Study) -> str:
    if running.session.site.is_backed_off(study, work):
        return f"another try to {type(work).__name__.lower()}, which has failed"
    return "its turn"


def _trouble(error: ImagiqError | None) -> Trouble | None:
    return None if error is None else Trouble(code=error.code, what=error.what, advice=error.advice)
