"""A charter: who belongs to a federation and what is permitted, as a value with one encoding.

Which of several charters rules is decided in :mod:`imagiq.federation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from imagiq.errors import BudgetSpent, Corrupt, Misuse
from imagiq.objects.canonical import JSON, Fields, decode, encode
from imagiq.objects.digest import Digest, digest_of, parse_digest
from imagiq.objects.schema import FORMAT, check_format

__all__ = ["Charter", "Cut", "Member", "parse_charter"]

CHARTER_LIMIT = 1 * 2**20
MEMBER_LIMIT = 4096
CUT_LIMIT = 16_384
RECOVERY_LIMIT = 64


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One site of a federation.

    Attributes:
        name: Its name, unique in the charter.
        site_key: Its Ed25519 public key, hexadecimal: certifies its feeds.
        exchange_key: Its X25519 public key, hexadecimal: what is sealed for it is sealed to this.
    """

    name: str
    site_key: str
    exchange_key: str


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """The last commit of a feed that the charter lets stand."""

    feed: str
    number: int
    commit: Digest


@dataclass(frozen=True, kw_only=True, eq=False)
class Charter:
    """One version of a federation's charter. Two charters are equal when their bytes are.

    Attributes:
        title: The federation's name, for people.
        version: From 1.
        previous: Digest of the version before; None in version 1.
        federation: Digest of version 1; None in version 1 itself, whose own digest it is.
        members: The sites, sorted by name.
        voters: Names of the members who vote, sorted.
        recovery: Ed25519 public keys, hexadecimal, sorted, kept offline: more than half of them can sign a successor.
        cuts: The last commit that stands of each feed that is cut, sorted by feed.
        rules: What is permitted: "strategies" and "tasks" (names; absent: all), "audit_per_mille", "simulated",
            and what later versions add (data contract, privacy).
        raw: The bytes as they came; made from the other fields when left out.
    """

    title: str
    version: int = 1
    previous: Digest | None = None
    federation: Digest | None = None
    members: tuple[Member, ...]
    voters: tuple[str, ...]
    recovery: tuple[str, ...] = ()
    cuts: tuple[Cut, ...] = ()
    rules: Mapping[str, JSON] = field(default_factory=dict)
    raw: bytes = b""

    def __post_init__(self) -> None:
        """Check that the fields agree with each other, make the bytes, and that others will read them."""
        if problem := _problem_with(self):
            raise Misuse("charter-form", f"A charter {problem}.", "Correct the charter.")
        if not self.raw:
            object.__setattr__(self, "raw", encode(_to_json(self)))
            try:
                parse_charter(self.raw)
            except (BudgetSpent, Corrupt) as error:
                raise Misuse("charter-form", error.what, "Correct the charter.") from error

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same charter, fields that this version does not know included."""
        return isinstance(other, Charter) and other.raw == self.raw

    def __hash__(self) -> int:
        """Return the hash of the bytes."""
        return hash(self.raw)

    @cached_property
    def digest(self) -> Digest:
        """The charter's name."""
        return digest_of(self.raw)

    @cached_property
    def founding(self) -> Digest:
        """The federation: the digest of version 1."""
        return self.federation or self.digest

    @cached_property
    def names_by_site_key(self) -> Mapping[str, str]:
        """The members' names by their site keys."""
        return {member.site_key: member.name for member in self.members}

    @property
    def majority(self) -> int:
        """How many votes are more than half: a change needs them."""
        return len(self.voters) // 2 + 1

    @cached_property
    def cuts_by_feed(self) -> Mapping[str, Cut]:
        """The cuts by their feeds."""
        return {cut.feed: cut for cut in self.cuts}


def _problem_with(charter: Charter) -> str:
    names = [member.name for member in charter.members]
    keys = [key for member in charter.members for key in (member.site_key, member.exchange_key)]
    problems = {
        "has no members": not names,
        "has members, voters, keys or cuts that are not sorted or stand twice": (
            names != sorted(set(names))
            or len(set(keys)) != len(keys)
            or list(charter.voters) != sorted(set(charter.voters))
            or list(charter.recovery) != sorted(set(charter.recovery))
            or [cut.feed for cut in charter.cuts] != sorted({cut.feed for cut in charter.cuts})
        ),
        "has no voters, or voters who are no members": not charter.voters or not set(charter.voters) <= set(names),
        f"has more than {RECOVERY_LIMIT} recovery keys": len(charter.recovery) > RECOVERY_LIMIT,
        "has a member without a name, or with one that is longer than 64 characters or holds a control character": any(
            not 0 < len(name) <= 64 or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in name) for name in names
        ),
        "must name the version before it and the federation, except for version 1": (
            (charter.version == 1) != (charter.previous is None)
            or (charter.version == 1) != (charter.federation is None)
        ),
    }
    return next((problem for problem, present in problems.items() if present), "")


def _to_json(charter: Charter) -> dict[str, JSON]:
    fields: dict[str, JSON] = {
        "format": FORMAT,
        "kind": "charter",
        "title": charter.title,
        "version": charter.version,
        "members": [{"name": m.name, "site_key": m.site_key, "exchange_key": m.exchange_key} for m in charter.members],
        "voters": list(charter.voters),
        "recovery": list(charter.recovery),
        "cuts": [{"feed": cut.feed, "number": cut.number, "commit": cut.commit} for cut in charter.cuts],
        "rules": charter.rules,
    }
    optional: dict[str, JSON] = {"previous": charter.previous, "federation": charter.federation}
    return fields | {key: value for key, value in optional.items() if value is not None}


def parse_charter(raw: bytes) -> Charter:
    """Read a foreign charter; its form only.

    Raises:
        BudgetSpent: larger than 1 MiB.
        Corrupt: malformed or not canonical.
        Unsupported: of another format.
    """
    what = "a charter"
    fields = decode(raw, limit=CHARTER_LIMIT, what=what)
    check_format(fields, what)
    if fields.text("kind") != "charter":
        raise Corrupt("object-kind", "An object that should be a charter is none.", "Get it again from its author.")
    try:
        return Charter(
            title=fields.text("title", limit=256),
            version=fields.integer("version", least=1),
            previous=parse_digest(fields.values["previous"], "A charter's previous") if "previous" in fields else None,
            federation=(
                parse_digest(fields.values["federation"], "A charter's federation") if "federation" in fields else None
            ),
            members=tuple(map(_parse_member, fields.objects("members", limit=MEMBER_LIMIT))),
            voters=fields.texts("voters", limit=MEMBER_LIMIT),
            recovery=tuple(
                parse_digest(key, "A recovery key") for key in fields.texts("recovery", limit=RECOVERY_LIMIT)
            ),
            cuts=tuple(map(_parse_cut, fields.objects("cuts", limit=CUT_LIMIT))),
            rules=fields.mapping("rules"),
            raw=raw,
        )
    except Misuse as error:
        raise Corrupt("charter-form", error.what, "Get the charter again from its author.") from error


def _parse_member(fields: Fields) -> Member:
    return Member(
        fields.text("name", limit=64),
        parse_digest(fields.values.get("site_key"), "A member's site key"),
        parse_digest(fields.values.get("exchange_key"), "A member's exchange key"),
    )


def _parse_cut(fields: Fields) -> Cut:
    return Cut(
        parse_digest(fields.values.get("feed"), "A cut's feed"),
        fields.integer("number", least=1),
        parse_digest(fields.values.get("commit"), "A cut's commit"),
    )
