"""Joining a federation: what an invitation says, and the request that follows."""

from __future__ import annotations

from dataclasses import dataclass

from imagiq.errors import ImagiqError, Misuse, NotFound, Refused
from imagiq.exchange import Remote
from imagiq.federation.requests import Applicant, apply_for
from imagiq.objects import Member
from imagiq.site.connecting import connect
from imagiq.site.home import Home, Seat
from imagiq.site.invitation import Introduction, Invitation, leave_request
from imagiq.site.session import make_seat, refuse_simulated
from imagiq.site.settings import RemoteSettings
from imagiq.site.studies import installed

__all__ = ["Offer", "join", "look_at"]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An invitation with what it is about.

    Attributes:
        invitation: The invitation.
        introduction: What lies on the remote.
        remotes: Where the site will exchange.
        is_founder: Whether the charter lists this site already: it then votes for it, and asks nobody.
    """

    invitation: Invitation
    introduction: Introduction
    remotes: tuple[RemoteSettings, ...]
    is_founder: bool


def look_at(home: Home, invitation: Invitation, *, remotes: tuple[RemoteSettings, ...] = ()) -> Offer:
    """Fetch what an invitation is about.

    Args:
        home: The site's home.
        invitation: The invitation.
        remotes: Remotes that the owner names, instead of those of the invitation.

    Raises:
        ImagiqError: no remote gives it, or it is about another federation.
    """
    chosen = remotes or invitation.remotes
    if not chosen:
        raise Misuse("invite-no-remote", "The invitation names no remote.", "Name one: --remote KIND ADDRESS.")
    key, failed = home.key(), []
    for settings in chosen:
        try:
            remote = connect(settings, invitation.guest, base=home.path)
            try:
                introduction = invitation.introduced(remote)
            finally:
                remote.close()
        except ImagiqError as error:
            failed.append(error)
            continue
        refuse_simulated(introduction.charter)
        is_founder = key.public in introduction.founding.names_by_site_key
        return Offer(invitation=invitation, introduction=introduction, remotes=chosen, is_founder=is_founder)
    raise next((error for error in failed if not isinstance(error, NotFound)), failed[0])


def check_name_free(offer: Offer, member: Member) -> None:
    """Check that a newcomer can have its name.

    Raises:
        Refused: another site has it.
    """
    for other in offer.introduction.charter.members:
        if other.name == member.name and other.site_key != member.site_key:
            raise Refused(
                "request-name",
                f"There is a member called '{other.name}' already.",
                "Choose another name: imagiq join --name NAME ...",
            )


def join(home: Home, offer: Offer, *, name: str) -> tuple[Seat, Applicant | None, list[ImagiqError]]:
    """Make the repository, and ask to join; a founder only makes the repository, and votes when it is opened to act.

    Asking again, after the site's keys have changed or a remote has lost the request, is no error.

    Returns:
        Where the federation is kept here; the request; why some remotes did not take it.

    Raises:
        Refused: the name is taken.
        Conflict: the site is a member already.
        Unreachable: no remote took the request.
    """
    invitation, introduction, settings, key = offer.invitation, offer.introduction, home.settings, home.key()
    member = Member(name, key.public, key.exchange_public)
    check_name_free(offer, member)
    seat = _seat(home, offer)
    seat.write_remotes(offer.remotes)
    seat.decisions.let_run(installed())
    if offer.is_founder:
        return seat, None, []
    seat.note("joined", {"charter": introduction.charter.digest, "name": name})
    applicant = apply_for(invitation.federation, key, name, title=settings.title, contact=settings.contact)
    failed = [error for remote in offer.remotes if (error := _left(home, offer, remote, applicant)) is not None]
    if len(failed) == len(offer.remotes):
        raise failed[0]
    return seat, applicant, failed


def _seat(home: Home, offer: Offer) -> Seat:
    """Return where the federation is kept: where it was before, if the site has asked before or was removed."""
    federation, title = offer.invitation.federation, offer.introduction.founding.title
    before = next((seat for seat in home.seats() if seat.name.endswith(federation[:8])), None)
    if before is not None:
        if home.key().public in offer.introduction.charter.names_by_site_key:
            return home.new_seat(title, federation)  # which says that it is there
        return before
    seat = home.new_seat(title, federation)
    introduced = tuple(sorted(offer.introduction.charter.names_by_site_key))
    make_seat(home, seat, offer.introduction.founding, secret=offer.invitation.secret, introduced=introduced)
    return seat


def _left(home: Home, offer: Offer, settings: RemoteSettings, applicant: Applicant) -> ImagiqError | None:
    try:
        remote: Remote = connect(settings, offer.invitation.guest, base=home.path)
        try:
            leave_request(offer.invitation, remote, applicant)
        finally:
            remote.close()
    except ImagiqError as error:
        return error
    return None
