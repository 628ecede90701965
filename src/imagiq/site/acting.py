"""What a site does for its owner beside training: what was ordered, votes for what is wished, requests that it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from imagiq.errors import ImagiqError, Misuse, Refused, Unreachable
from imagiq.exchange import Remote
from imagiq.federation import check_permitted, check_successor, parse_study
from imagiq.federation.membership import Amendment, Change, Wish, pending, successor, to_vote_for
from imagiq.federation.policy import Answer
from imagiq.federation.requests import LEAVE, REQUEST, Applicant
from imagiq.history import Entry
from imagiq.learning import close
from imagiq.objects import Charter
from imagiq.site.decisions import Order
from imagiq.site.invitation import Invitation, applicants_in, invitations_made
from imagiq.site.serving import write_admission
from imagiq.site.session import Session
from imagiq.site.studies import first_model, proposed

__all__ = ["Done", "act", "carry", "carry_requests", "check_applicant", "invitations_of", "is_in_force", "wished"]


@dataclass(frozen=True, kw_only=True)
class Done:
    """Something that was done, or could not be.

    Attributes:
        what: In a few words.
        entry: The commit that says it.
        error: Why it could not be done.
    """

    what: str
    entry: Entry | None = None
    error: ImagiqError | None = None


def act(session: Session, *, insist: bool = False) -> list[Done]:
    """Do what the owner has ordered and wished, as far as it can be done now. Call it after every sync.

    Args:
        session: The federation.
        insist: The owner has just said so: vote even where others did not follow before.

    Raises:
        Unreachable: the disk failed.
        Refused: nothing may be written until another site answers.
    """
    session.start()
    session.refresh()
    done = [*_found(session), *(_carry_out(session, order) for order in session.seat.decisions.orders())]
    while (vote := _vote(session, insist=insist)) is not None:
        done.append(vote)
    _forget_fulfilled(session)
    session.refresh()
    write_admission(session.home, session.seat, session.bench, session.key)
    return done


def _found(session: Session) -> list[Done]:
    """Vote for the founding charter, if this site is one of the founders and has not: to found or to join is the word."""
    bench = session.bench
    name = bench.founding.names_by_site_key.get(session.key.public)
    if name is None or any(vote.founds and vote.voter == name for vote in bench.standing.votes):
        return []
    return [Done(what="voted for the founding charter", entry=session.site.vote(bench.founding))]


def _carry_out(session: Session, order: Order) -> Done:
    what = order.recipe.name
    if not session.is_member:
        return Done(what=what, error=_no_member(session))
    if order.action in session.bench.known.own_actions:  # stopped after its commit, before it was crossed out
        session.seat.decisions.done(order)
        return Done(what=what)
    try:
        if what == "study":
            entry = _open_study(session, order)
        else:
            entry = session.site.say(order.recipe, parents=order.parents, study=order.study, action=order.action)
    except Unreachable:
        raise
    except ImagiqError as error:
        if error.code != "site-read-only":  # that passes
            session.seat.decisions.done(order)
        return Done(what=what, error=error)
    session.seat.decisions.done(order)
    return Done(what=what, entry=entry)


def _no_member(session: Session) -> Refused:
    return Refused(
        "site-no-member",
        f"'{session.name}' is no member of the federation '{session.charter.title}', so it writes nothing there.",
        "Sync; if it has asked to join, wait until more than half of the voters have approved.",
    )


def _open_study(session: Session, order: Order) -> Entry:
    study = proposed(order.recipe)
    check_permitted(study, session.charter)
    learner = session.learner_of(study.task)
    try:
        with session.site.aside():
            first = first_model(session.bench, learner, study.seed, session.name, session.read_cases())
    finally:
        close(learner)
    entry = session.site.open_study(order.recipe, first, action=order.action)
    if parse_study(entry.commit) is not None:  # who opens a study takes part in it
        session.seat.decisions.answer(entry.digest, Answer.ACCEPT)
    return entry


# ----------------------------------------------------------------------------------------------------- wishes


def wished(session: Session) -> frozenset[Wish]:
    """Return what the owner has approved, and that members leave who say that they do: nobody can be held."""
    leaving = {request.change for request in session.requests() if request.wants == LEAVE}
    return session.seat.decisions.wishes(Answer.ACCEPT) | leaving


def _vote(session: Session, *, insist: bool) -> Done | None:
    bench, site = session.bench, session.site
    if not session.is_member:
        return None
    proposal = to_vote_for(bench.standing, bench.history, site.name, wished(session), insist=insist)
    if proposal is None:
        return None
    entry = site.vote(proposal)
    return None if entry is None else Done(what=f"voted for version {proposal.version} of the charter", entry=entry)


def is_in_force(ruling: Charter, wish: Wish) -> bool:
    """Tell whether a charter says what was wished."""
    if isinstance(wish, Amendment):
        return successor(ruling, [wish]).raw == successor(ruling, []).raw
    return wish.after in ruling.members if wish.after is not None else wish.before not in ruling.members


def _forget_fulfilled(session: Session) -> None:
    ruling = session.bench.standing.ruling
    for wish in session.seat.decisions.wishes(Answer.ACCEPT) if ruling is not None else ():
        if ruling is not None and is_in_force(ruling, wish):
            session.seat.decisions.forget(wish)


# --------------------------------------------------------------------------------------------------- requests


def invitations_of(session: Session) -> Iterable[Invitation]:
    """Yield the invitations that this site has made."""
    return invitations_made(
        session.seat, session.bench.founding.digest, session.key.public, session.ring.federation.secret
    )


def carry_requests(
    session: Session, remote: Remote, *, aside: Callable[[], AbstractContextManager[None]] = nullcontext
) -> list[Done]:
    """Put requests that came by this site's invitations into commits, so that all voters see them.

    Raises:
        Unreachable: the remote or the disk failed.
    """
    done: list[Done] = []
    if not session.is_member:
        return done
    for invitation in invitations_of(session):
        with aside():
            applicants = applicants_in(invitation, remote)
        carried = (carry(session, applicant) for applicant in applicants)
        done += [one for one in carried if one is not None]
    return done


def carry(session: Session, applicant: Applicant) -> Done | None:
    """Put one request into a commit; None: it is known, or asks for nothing that can be."""
    if _is_carried(session, applicant):
        return None
    try:
        check_applicant(session, applicant)
        entry = session.site.say(applicant.recipe())
    except Unreachable:
        raise
    except ImagiqError as error:
        return Done(what=f"the request of '{applicant.member.name}'", error=error)
    return Done(what=f"carried the request of '{applicant.member.name}'", entry=entry)


def _is_carried(session: Session, applicant: Applicant) -> bool:
    if applicant.member in session.charter.members:
        return True
    carried = (session.bench.history[digest].commit.recipe for digest in session.bench.known.notices[REQUEST])
    return any(recipe.parameters.get("site_key") == applicant.member.site_key for recipe in carried)


def check_applicant(session: Session, applicant: Applicant) -> None:
    """Check that a request to join asks for something that can be.

    Raises:
        Refused: its name is taken, or its key was removed before.
    """
    standing, wish = session.bench.standing, Change(None, applicant.member)
    if applicant.member.name in {member.name for member in session.charter.members}:
        raise Refused(
            "request-name",
            f"There is a member called '{applicant.member.name}' already.",
            "Let the newcomer choose another name, or let the members remove the other first.",
        )
    try:
        if pending(session.charter, [wish]):
            check_successor(standing.line.versions, successor(session.charter, [wish]))
            return
    except Misuse as error:
        raise Refused("request-key", error.what, "Let the newcomer make a new key: `imagiq rotate-key`.") from error
    raise Refused("request-key", "The request brings keys that a member has.", "Let the newcomer make new keys.")
