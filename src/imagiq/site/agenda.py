"""The agenda of a site: what waits for the word of its owner or of other voters, and how far that is. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagiq.bench import Bench
from imagiq.errors import Misuse, NotFound
from imagiq.federation import Study
from imagiq.federation.membership import Wish, support, wishes_in
from imagiq.federation.notices import STOP, is_stopped
from imagiq.federation.policy import Answer, answer_to
from imagiq.federation.requests import REQUEST, Request, requests_in
from imagiq.objects import Charter, Digest
from imagiq.site.decisions import Decisions
from imagiq.site.home import Home, Seat
from imagiq.site.studies import code_of

__all__ = ["Item", "StudyItem", "agenda_of", "answer_of", "pick_items", "pick_study", "requests_of", "studies_of"]

SHORTEST = 4


@dataclass(frozen=True, kw_only=True)
class Item:
    """A change of the charter that somebody asks for or has voted for, and that is not in force.

    Attributes:
        wish: The change.
        kind: ``join``, ``leave``, ``remove``, ``new-key`` or ``amend``.
        name: The site's name, or the field's.
        title: What people call the site.
        contact: Whom to ask.
        sponsor: In whose commit the request came; "" if there is none.
        approved_by: The voters who have voted for it, sorted.
        needed: How many of them it takes.
        decided: What the owner of this site has said: ``accept``, ``refuse``, or "".
    """

    wish: Wish
    kind: str
    name: str
    title: str
    contact: str
    sponsor: str
    approved_by: tuple[str, ...]
    needed: int
    decided: str


@dataclass(frozen=True, kw_only=True)
class StudyItem:
    """A study as this site sees it.

    Attributes:
        study: Its terms.
        opener: Who opened it.
        answer: What this site says to it: ``accept``, ``refuse``, ``ask``; "" if it is not asked.
        why: Why the owner is asked.
        stopped: Whether it was ended for all.
        done: How many training commits each of its sites has made.
    """

    study: Study
    opener: str
    answer: str
    why: str
    stopped: bool
    done: Mapping[str, int]


def requests_of(bench: Bench) -> tuple[Request, ...]:
    """Return what sites ask for and is not in force."""
    return requests_in(bench.known.notices[REQUEST], bench.history, bench.standing)


def agenda_of(bench: Bench, decisions: Decisions) -> tuple[Item, ...]:
    """Return the changes of the charter that are asked for or voted for, requests first."""
    ruling = bench.standing.ruling
    if ruling is None:
        return ()
    said = {wish: answer.value for answer in (Answer.ACCEPT, Answer.REFUSE) for wish in decisions.wishes(answer)}
    votes = _support(bench, ruling)
    items: dict[Wish, Item] = {}
    for request in requests_of(bench):
        items[request.change] = _item(request.change, ruling, votes, said, request)
    for wish in sorted(votes.keys() - items.keys(), key=lambda wish: (wish.kind, wish.name)):
        items[wish] = _item(wish, ruling, votes, said, None)
    return tuple(items.values())


def _support(bench: Bench, ruling: Charter) -> dict[Wish, set[str]]:
    """Return who votes for what now, of all proposals for the next version."""
    found: dict[Wish, set[str]] = {}
    proposals = {vote.charter for vote in bench.standing.votes if vote.base == ruling.digest and not vote.founds}
    for digest in sorted(proposals):
        for wish in wishes_in(ruling, bench.standing.charters[digest]):
            found.setdefault(wish, set()).update(support(bench.standing, digest))
    return found


def _item(
    wish: Wish, ruling: Charter, votes: Mapping[Wish, set[str]], said: Mapping[Wish, str], request: Request | None
) -> Item:
    return Item(
        wish=wish,
        kind=wish.kind if request is None else request.wants,
        name=wish.name,
        title="" if request is None else request.title,
        contact="" if request is None else request.contact,
        sponsor="" if request is None else request.sponsor,
        approved_by=tuple(sorted(votes.get(wish, ()))),
        needed=ruling.majority,
        decided=said.get(wish, ""),
    )


def pick_items(items: tuple[Item, ...], name: str) -> list[Item]:
    """Return what is asked for by a site, or for a field."""
    return [item for item in items if item.name == name]


# ---------------------------------------------------------------------------------------------------- studies


def answer_of(home: Home, seat: Seat, bench: Bench, study: Study) -> Answer:
    """Return what a site says to a study, by its owner's rules and word."""
    decisions = seat.decisions
    return answer_to(
        study,
        home.policy,
        opener=bench.standing.name_of(bench.history[study.digest]),
        code=code_of(study),
        approved_code=decisions.code(),
        said=decisions.answers().get(study.digest),
    )


def studies_of(home: Home, seat: Seat, bench: Bench, me: str) -> Iterator[StudyItem]:
    """Yield the studies of a federation, the earliest first."""
    stops = [bench.history[digest] for digest in bench.known.notices[STOP]]
    for steps in sorted(bench.studies.values(), key=lambda steps: bench.history[steps.study.digest].order):
        study = steps.study
        opening = bench.history[study.digest]
        is_asked = me in study.sites
        answer = answer_of(home, seat, bench, study).value if is_asked else ""
        yield StudyItem(
            study=study,
            opener=bench.standing.name_of(opening),
            answer=answer,
            why=_why_asked(seat, study) if answer == Answer.ASK.value else "",
            stopped=is_stopped(opening, stops, bench.standing),
            done={site: len(steps.trainings(site)) for site in study.sites},
        )


def _why_asked(seat: Seat, study: Study) -> str:
    new = sorted(set(code_of(study)) - seat.decisions.code())
    return f"it would run {', '.join(new)}, which never ran here" if new else "the policy asks its owner"


def pick_study(bench: Bench, name: str) -> Study:
    """Return the study that somebody means by its title, or by the first characters of its digest.

    Raises:
        NotFound: there is none.
        Misuse: there are several.
    """
    studies = [steps.study for steps in bench.studies.values()]
    found = [s for s in studies if s.title == name or (len(name) >= SHORTEST and s.digest.startswith(name))]
    if not found:
        raise NotFound("study-unknown", f"No study here is called '{name}'.", "See `imagiq study list`, or sync.")
    if len(found) > 1:
        digests = ", ".join(sorted(Digest(study.digest)[:12] for study in found))
        raise Misuse("name-ambiguous", f"'{name}' names several studies: {digests}.", "Give more of the digest.")
    return found[0]
