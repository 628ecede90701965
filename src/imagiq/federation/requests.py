"""Requests: what sites ask the voters for. A word only: nothing changes before a charter is in force.

Who is no member cannot write commits; its request travels inside a commit of a member, who vouches for nothing by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from imagiq.errors import ImagiqError
from imagiq.federation.membership import Change, pending
from imagiq.federation.standing import Standing, State
from imagiq.history import Entry, History
from imagiq.keys import SiteKey, verify_words
from imagiq.objects import JSON, Charter, Digest, Member, Recipe, encode, parse_digest
from imagiq.objects.canonical import Fields

__all__ = ["REQUEST", "Applicant", "Request", "apply_for", "leave_recipe", "parse_applicant", "requests_in"]

REQUEST: Final = "request"
JOIN: Final = "join"
NEW_KEY: Final = "new-key"
LEAVE: Final = "leave"
TEXT_LIMIT: Final = 256

_TAG: Final = b"imagiq request 1\n"


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """What a site says of itself, signed by the key that it wants to have in the charter.

    Attributes:
        wants: ``join`` or ``new-key``.
        member: As it wants to stand in the charter.
        title: What people call it.
        contact: Whom to ask.
        signature: Hexadecimal.
    """

    wants: str
    member: Member
    title: str
    contact: str
    signature: str = field(repr=False)

    def to_json(self) -> dict[str, JSON]:
        """Return it as it stands in the recipe of a request, and as it travels to a member."""
        return _claims(self.wants, self.member, self.title, self.contact) | {"signature": self.signature}

    def recipe(self) -> Recipe:
        """Return the recipe of the commit that carries it."""
        return Recipe(REQUEST, 1, self.to_json())


def _claims(wants: str, member: Member, title: str, contact: str) -> dict[str, JSON]:
    return {
        "wants": wants,
        "name": member.name,
        "site_key": member.site_key,
        "exchange_key": member.exchange_key,
        "title": title,
        "contact": contact,
    }


def _message(federation: Digest, claims: Mapping[str, JSON]) -> bytes:
    return _TAG + bytes.fromhex(federation) + encode(claims)


def apply_for(
    federation: Digest, key: SiteKey, name: str, *, wants: str = JOIN, title: str = "", contact: str = ""
) -> Applicant:
    """Return a signed request to join a federation, or, by a member, to get a new key."""
    member = Member(name, key.public, key.exchange_public)
    signature = key.sign(_message(federation, _claims(wants, member, title, contact)))
    return Applicant(wants=wants, member=member, title=title, contact=contact, signature=signature.hex())


def parse_applicant(fields: Fields, federation: Digest) -> Applicant:
    """Return what a site says of itself, proven to be by the key that it names, and for this federation.

    Raises:
        Corrupt: malformed.
        Untrusted: the signature is wrong.
    """
    member = Member(
        fields.text("name", limit=64),
        parse_digest(fields.values.get("site_key"), "A request's site key"),
        parse_digest(fields.values.get("exchange_key"), "A request's exchange key"),
    )
    title, contact = fields.text("title", limit=TEXT_LIMIT), fields.text("contact", limit=TEXT_LIMIT)
    wants = fields.text("wants", limit=16)
    signature = parse_signature(fields.text("signature"))
    message = _message(federation, _claims(wants, member, title, contact))
    verify_words(member.site_key, signature, message, "A request")
    return Applicant(wants=wants, member=member, title=title, contact=contact, signature=signature.hex())


def parse_signature(text: str) -> bytes:
    """Return a signature's bytes; what is no signature gives none that holds."""
    return bytes.fromhex(text) if len(text) == 128 and not set(text) - set("0123456789abcdef") else b""


def leave_recipe() -> Recipe:
    """Return the recipe of the commit by which a member says that it leaves."""
    return Recipe(REQUEST, 1, {"wants": LEAVE})


@dataclass(frozen=True, kw_only=True)
class Request:
    """Something that a site asks for and that is not in force.

    Attributes:
        change: What it would change.
        wants: ``join``, ``new-key`` or ``leave``.
        title: What people call the site; "" if it does not say.
        contact: Whom to ask.
        sponsor: The member in whose commit it came.
        commit: That commit.
    """

    change: Change
    wants: str
    title: str
    contact: str
    sponsor: str
    commit: Digest

    @property
    def name(self) -> str:
        """The site's name."""
        return self.change.name


def requests_in(commits: Iterable[Digest], history: History, standing: Standing) -> tuple[Request, ...]:
    """Return the requests that are open under the ruling charter, the earliest first, none of them twice.

    Args:
        commits: The commits that carry requests.
        history: Where they are.
        standing: What they are worth.
    """
    ruling = standing.ruling
    if ruling is None:
        return ()
    found: dict[Change, Request] = {}
    for entry in sorted((history[digest] for digest in commits), key=lambda entry: entry.order):
        if standing.state(entry.digest) is not State.VOID:
            request = _read(entry, ruling)
            if request is not None and pending(ruling, [request.change]):
                found.setdefault(request.change, request)
    return tuple(found.values())


def _read(entry: Entry, ruling: Charter) -> Request | None:
    recipe = entry.commit.recipe
    sponsor = next((m for m in ruling.members if m.site_key == entry.site), None)
    if (recipe.name, recipe.version) != (REQUEST, 1) or sponsor is None:
        return None
    fields = Fields(recipe.parameters, "a request")
    try:
        if recipe.parameters.get("wants") == LEAVE:
            change = Change(sponsor, None)
            return Request(change=change, wants=LEAVE, title="", contact="", sponsor=sponsor.name, commit=entry.digest)
        applicant = parse_applicant(fields, entry.commit.federation)
        if applicant.wants not in {JOIN, NEW_KEY} or (
            applicant.wants == NEW_KEY and applicant.member.name != sponsor.name
        ):
            return None
        change = Change(sponsor if applicant.wants == NEW_KEY else None, applicant.member)
    except ImagiqError:
        return None
    return Request(
        change=change,
        wants=applicant.wants,
        title=applicant.title,
        contact=applicant.contact,
        sponsor=sponsor.name,
        commit=entry.digest,
    )
