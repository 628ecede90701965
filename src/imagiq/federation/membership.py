"""Membership: what a successor of the charter would change, and what a voter who wishes that does next.

A voter has *wishes*: that a site joins, leaves, is removed or gets a new key, or that a field of the charter reads
otherwise. Charters only carry them. So when a ballot is lost, or another successor wins, nothing wished is lost: what is
not in force yet is proposed again, on top of whatever rules by then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from imagiq.errors import Misuse
from imagiq.federation.ballots import ballot_for, preferred
from imagiq.federation.standing import Standing
from imagiq.federation.votes import check_successor
from imagiq.history import History
from imagiq.objects import JSON, Charter, Cut, Digest, Member, encode, parse_charter, parse_digest
from imagiq.objects.canonical import Fields, decode

__all__ = [
    "Amendment",
    "Change",
    "Wish",
    "cuts_of",
    "is_acceptable",
    "parse_wish",
    "pending",
    "successor",
    "support",
    "to_vote_for",
    "wishes_in",
]

CHARTER_LIMIT: Final = 2**20
RULE: Final = "rules."
OWN_FIELDS: Final = frozenset({"format", "kind", "version", "previous", "federation", "members", "cuts", "rules"})
"""What follows from the version before and from changes of members; all else can be amended, and each rule by itself."""

UNASKED_BALLOTS: Final = 2
"""So often a voter votes for one proposal by itself, while nobody else does."""


@dataclass(frozen=True, slots=True)
class Change:
    """A member that comes, goes, or gets new keys.

    Attributes:
        before: The member as the ruling charter has it; None: it joins.
        after: The member as it will be; None: it goes.
    """

    before: Member | None
    after: Member | None

    def __post_init__(self) -> None:
        """Check that something changes, and that nobody gets another name."""
        names = {member.name for member in (self.before, self.after) if member is not None}
        if len(names) != 1 or self.before == self.after:
            raise Misuse("change-form", "A change of members changes nothing, or renames a site.", "Correct it.")

    @property
    def name(self) -> str:
        """The site's name."""
        return next(member.name for member in (self.before, self.after) if member is not None)

    @property
    def kind(self) -> str:
        """What it is, in a word: ``join``, ``remove`` or ``new-key``."""
        if self.before is None:
            return "join"
        return "remove" if self.after is None else "new-key"

    def to_json(self) -> dict[str, JSON]:
        """Return how it is kept."""
        members = {"before": self.before, "after": self.after}
        return {name: _member_json(member) for name, member in members.items() if member is not None}


@dataclass(frozen=True, slots=True)
class Amendment:
    """Another value of a field of the charter, or of one of its rules.

    Attributes:
        field: Its name; of a rule, ``rules.`` and the rule's.
        value: The canonical encoding of an object whose ``value`` it is; empty: the field is left out.
    """

    field: str
    value: bytes

    @classmethod
    def of(cls, field: str, value: JSON | None) -> Amendment:
        """Return the wish that a field reads so; None: that it is left out.

        Raises:
            Misuse: the field cannot be amended.
        """
        if field in OWN_FIELDS:
            raise Misuse("amendment-field", f"'{field}' of a charter cannot be amended.", "Change members, or a rule.")
        return cls(field, b"" if value is None else encode({"value": value}))

    @property
    def reads(self) -> JSON | None:
        """What the field shall read; None: nothing."""
        return None if not self.value else decode(self.value, limit=CHARTER_LIMIT, what="an amendment").values["value"]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.field.removeprefix(RULE)

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return "amend"

    def to_json(self) -> dict[str, JSON]:
        """Return how it is kept."""
        return {"field": self.field, "value": self.value.decode("utf-8")}


Wish: TypeAlias = Change | Amendment


def _member_json(member: Member) -> dict[str, JSON]:
    return {"name": member.name, "site_key": member.site_key, "exchange_key": member.exchange_key}


def parse_wish(fields: Fields) -> Wish:
    """Read what ``to_json`` of a wish wrote.

    Raises:
        Corrupt: it is none.
        Misuse: it changes nothing.
    """
    if "field" in fields.values:
        return Amendment(fields.text("field"), fields.text("value", limit=CHARTER_LIMIT).encode("utf-8"))
    given = {name: _parse_member(fields.object(name)) for name in ("before", "after") if name in fields.values}
    return Change(given.get("before"), given.get("after"))


def _parse_member(fields: Fields) -> Member:
    site = parse_digest(fields.values.get("site_key"), "A member's site key")
    exchange = parse_digest(fields.values.get("exchange_key"), "A member's exchange key")
    return Member(fields.text("name", limit=64), site, exchange)


# ------------------------------------------------------------------------------------------------- successors


def successor(base: Charter, wishes: Iterable[Wish], cuts: Iterable[Cut] = ()) -> Charter:
    """Return the next version of a charter. Fields that nobody here knows are carried.

    A site that joins votes, unless the charter's rule ``newcomers_vote`` is false; one that goes does not vote any more.

    Args:
        base: The version before.
        wishes: What changes.
        cuts: Where feeds end, beside those of ``base``.

    Raises:
        Misuse: the wishes contradict the charter or each other, or nobody would be left to vote.
    """
    fields = dict(_fields_of(base))
    members = {str(_name_of(member)): member for member in _members_of(base)}
    voters = set(base.voters)
    amendments = [wish for wish in wishes if isinstance(wish, Amendment)]
    for change in sorted((w for w in wishes if isinstance(w, Change)), key=lambda w: (w.after is not None, w.name)):
        _apply(change, base, members, voters)
    ends = {cut.feed: cut for cut in (*cuts, *base.cuts)}
    fields |= {
        "version": base.version + 1,
        "previous": base.digest,
        "federation": base.founding,
        "members": [members[name] for name in sorted(members)],
        "voters": sorted(voters),
        "cuts": [{"feed": c.feed, "number": c.number, "commit": c.commit} for c in sorted(ends.values())],
    }
    for amendment in sorted(amendments, key=lambda each: each.field):
        _amend(fields, amendment)
    if not fields["voters"]:
        raise Misuse("charter-form", "Nobody would be left who votes.", "Let another site join, or vote, first.")
    return parse_charter(encode(fields))


def _fields_of(charter: Charter) -> Mapping[str, JSON]:
    return decode(charter.raw, limit=CHARTER_LIMIT, what="a charter").values


def _members_of(charter: Charter) -> list[Mapping[str, JSON]]:
    members = _fields_of(charter)["members"]
    return [dict(member) for member in members if isinstance(member, Mapping)] if isinstance(members, list) else []


def _name_of(member: Mapping[str, JSON]) -> JSON:
    return member["name"]


def _apply(change: Change, base: Charter, members: dict[str, Mapping[str, JSON]], voters: set[str]) -> None:
    name = change.name
    if change.before is not None and change.before not in base.members:
        raise Misuse("change-stale", f"'{name}' is no member with this key.", "See `imagiq members`.")
    if change.before is None and name in members:
        raise Misuse("change-name", f"There is a member called '{name}' already.", "Choose another name.")
    before = members.pop(name, {})
    if change.after is None:
        voters.discard(name)
        return
    members[name] = {**before, **_member_json(change.after)}
    if change.before is None and base.rules.get("newcomers_vote", True) is True:
        voters.add(name)


def _amend(fields: dict[str, JSON], amendment: Amendment) -> None:
    where, name, rules = fields, amendment.field, fields["rules"]
    if name.startswith(RULE) and isinstance(rules, Mapping):
        where = fields["rules"] = dict(rules)
        name = amendment.name
    if not amendment.value:
        where.pop(name, None)
        return
    where[name] = amendment.reads


def wishes_in(base: Charter, proposal: Charter) -> frozenset[Wish]:
    """Return all that a successor changes, but for cuts."""
    before = {member.name: member for member in base.members}
    after = {member.name: member for member in proposal.members}
    changes = {
        Change(before.get(name), after.get(name))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    plain = _fields_of(successor(base, changes)) if _leaves_voters(base, changes) else _fields_of(base)
    theirs = _fields_of(proposal)
    return frozenset(changes) | set(_amended(_by_rule(plain), _by_rule(theirs)))


def _by_rule(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return what can be amended, each rule by itself: who changes one rule says nothing about the others."""
    rules = fields.get("rules")
    each = {f"{RULE}{name}": value for name, value in rules.items()} if isinstance(rules, Mapping) else {}
    return {name: value for name, value in fields.items() if name not in OWN_FIELDS} | each


def _amended(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> Iterator[Amendment]:
    read, reads = ({name: encode({"value": value}) for name, value in each.items()} for each in (before, after))
    for name in read.keys() | reads.keys():
        if read.get(name) != reads.get(name):  # as bytes: 0 is not false
            yield Amendment(name, reads.get(name, b""))


def _leaves_voters(base: Charter, changes: Iterable[Change]) -> bool:
    gone = {change.name for change in changes if change.after is None}
    return bool(set(base.voters) - gone) or any(change.before is None for change in changes)


# ------------------------------------------------------------------------------------------------------- cuts


def cuts_of(history: History, sites: Iterable[str]) -> tuple[Cut, ...]:
    """Return where the feeds of sites end, as far as it is known here: all that stands undoubted."""
    ends = (_end_of(history, feed) for site in sites for feed in history.feeds_of(site))
    return tuple(sorted(cut for cut in ends if cut is not None))


def _end_of(history: History, feed: str) -> Cut | None:
    forked_at = history.forks.get(feed)
    last = history.heads[feed] if forked_at is None else history.at(feed, forked_at - 1)
    if not last:
        return None
    commit = history[last[0]].commit
    return Cut(feed, commit.number, commit.digest)


def _has_fitting_cuts(base: Charter, proposal: Charter, wishes: Iterable[Wish], history: History) -> bool:
    """Tell whether a proposal cuts the feeds of the sites whose keys go, all that are known here, and no others."""
    gone = [w.before.site_key for w in wishes if isinstance(w, Change) and w.before is not None]
    theirs = {feed for site in gone for feed in history.feeds_of(site)}
    new = proposal.cuts_by_feed.keys() - base.cuts_by_feed.keys()
    ends = {cut.feed for cut in cuts_of(history, gone)}
    kept = all(proposal.cuts_by_feed.get(cut.feed) == cut for cut in base.cuts)
    return kept and ends <= proposal.cuts_by_feed.keys() and all(f in theirs or not history.heads.get(f) for f in new)


# ----------------------------------------------------------------------------------------------------- voting


def pending(ruling: Charter, wishes: Iterable[Wish]) -> tuple[Wish, ...]:
    """Return the wishes that are not in force and can be, in an order that is the same everywhere."""
    return tuple(_possible(ruling, sorted(set(wishes), key=lambda wish: encode(wish.to_json()))))


def _possible(ruling: Charter, wishes: Iterable[Wish]) -> Iterator[Wish]:
    chosen: list[Wish] = []
    for wish in wishes:
        try:
            changed = successor(ruling, [*chosen, wish])
        except Misuse:
            continue
        if wish in wishes_in(ruling, changed):
            chosen.append(wish)
            yield wish


def is_acceptable(base: Charter, proposal: Charter, wishes: Collection[Wish], history: History) -> bool:
    """Tell whether a successor brings nothing but what is wished."""
    brought = wishes_in(base, proposal)
    return bool(brought) and brought <= set(wishes) and _has_fitting_cuts(base, proposal, brought, history)


def to_vote_for(
    standing: Standing, history: History, me: str, wishes: Collection[Wish], *, insist: bool = False
) -> Charter | None:
    """Return what a voter should vote for now; None: nothing.

    A proposal of others that brings nothing but what is wished comes before an own one, the one with most voters first,
    so that voters who want the same agree. One that nobody else votes for is not voted for again and again: then it
    waits until somebody else does, or its owner insists.

    Args:
        standing: The charters, and the votes.
        history: For where feeds end.
        me: The voter's name.
        wishes: What its owner has approved.
        insist: Vote even for what this site has voted for often.
    """
    ruling = standing.ruling
    if ruling is None:
        return None
    open_wishes = pending(ruling, wishes)
    ballot = ballot_for(ruling, standing.votes, me) if open_wishes else None
    if ballot is None:
        return None
    votes = [vote for vote in standing.votes if vote.base == ruling.digest and not vote.founds]
    proposed = {vote.charter for vote in votes}
    fitting = [d for d in proposed if is_acceptable(ruling, standing.charters[d], open_wishes, history)]
    chosen = preferred(ruling, votes, fitting)
    charter = _own_proposal(standing, history, open_wishes) if chosen is None else standing.charters[chosen]
    if charter is None or insist:
        return charter
    mine = sum(vote.voter == me and vote.charter == charter.digest for vote in votes)
    others = any(vote.ballot == ballot and vote.charter == charter.digest and vote.voter != me for vote in votes)
    return charter if others or mine < UNASKED_BALLOTS else None


def _own_proposal(standing: Standing, history: History, wishes: Iterable[Wish]) -> Charter | None:
    """Return a successor that brings all wishes that may be brought together."""
    versions = standing.line.versions
    chosen: list[Wish] = []
    proposal: Charter | None = None
    for wish in wishes:
        gone = [w.before.site_key for w in (*chosen, wish) if isinstance(w, Change) and w.before is not None]
        try:
            candidate = successor(versions[-1], [*chosen, wish], cuts_of(history, gone))
            check_successor(versions, candidate)
        except Misuse:
            continue
        chosen.append(wish)
        proposal = candidate
    return proposal


def support(standing: Standing, proposal: Digest) -> tuple[str, ...]:
    """Return who votes for a proposal in the newest ballot in which anybody does, sorted."""
    votes = [vote for vote in standing.votes if vote.charter == proposal]
    newest = max((vote.ballot for vote in votes), default=0)
    return tuple(sorted({vote.voter for vote in votes if vote.ballot == newest}))
