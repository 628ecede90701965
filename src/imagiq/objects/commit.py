"""A commit: the signed, immutable record of one step.

Its bytes are 64 bytes of Ed25519 signature, then canonical JSON. :func:`parse_commit` gives only a
:class:`UnverifiedCommit`; what makes a :class:`Commit` of it is :func:`imagiq.keys.verify_commit`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from imagiq.errors import Corrupt
from imagiq.objects.canonical import JSON, Fields, decode, encode, parse_decimal
from imagiq.objects.digest import Digest, digest_of, parse_digest
from imagiq.objects.schema import FORMAT, check_format

__all__ = [
    "COMMIT_LIMIT",
    "SIGNATURE_BYTES",
    "Certificate",
    "Commit",
    "Draft",
    "Parent",
    "Recipe",
    "Seen",
    "UnverifiedCommit",
    "parse_commit",
]

SIGNATURE_BYTES: Final = 64
COMMIT_LIMIT: Final = 256 * 2**10
PARENT_LIMIT: Final = 1024
SEEN_LIMIT: Final = 1024
ROLES: Final = ("base", "input", "state")
_CERTIFICATE_FIELDS: Final = frozenset({"federation", "site", "feed", "number", "ends", "signature"})


@dataclass(frozen=True, slots=True, order=True)
class Parent:
    """A commit that another was made from. ``role``: "base", "input" or "state"."""

    role: str
    commit: Digest


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """The head of another feed that the author had admitted: a witness, never a condition."""

    feed: str
    number: int
    commit: Digest


@dataclass(frozen=True, slots=True)
class Recipe:
    """By what a commit was made: a name, its version, its parameters and its public seed (None: it needs none)."""

    name: str
    version: int = 1
    parameters: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({}))
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The site key's word that a feed is the site's, in the feed's first commit.

    Attributes:
        federation: The federation.
        site: The site's Ed25519 public key, hexadecimal.
        feed: The feed's Ed25519 public key, hexadecimal.
        number: From 1; each feed of a site has the next number.
        ends: The last commit of the site's feed before this one, as far as the site knew; None for the first.
        signature: By the site key, hexadecimal.
        unknown: Fields that this version does not know, as they came: the site key signs them too.
    """

    federation: Digest
    site: str
    feed: str
    number: int
    ends: Digest | None
    signature: str = ""
    unknown: Mapping[str, JSON] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def to_json(self) -> dict[str, JSON]:
        """Return what the site key signs."""
        fields: dict[str, JSON] = {
            "federation": self.federation,
            "site": self.site,
            "feed": self.feed,
            "number": self.number,
        }
        return {**self.unknown, **fields} | ({} if self.ends is None else {"ends": self.ends})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A commit before it is signed; see :class:`Commit` for the fields."""

    federation: Digest
    charter: Digest
    feed: str
    number: int
    recipe: Recipe
    created: str
    study: Digest | None = None
    previous: Digest | None = None
    parents: tuple[Parent, ...] = ()
    tree: Digest | None = None
    action: Digest | None = None
    metrics: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}))
    cases: int | None = None
    seen: tuple[Seen, ...] = ()
    certificate: Certificate | None = None

    def body(self) -> bytes:
        """Return the canonical JSON that the feed key signs."""
        recipe: dict[str, JSON] = {
            "name": self.recipe.name,
            "version": self.recipe.version,
            "parameters": self.recipe.parameters,
        }
        if self.recipe.seed is not None:
            recipe["seed"] = self.recipe.seed
        fields: dict[str, JSON] = {
            "format": FORMAT,
            "federation": self.federation,
            "charter": self.charter,
            "feed": self.feed,
            "number": self.number,
            "parents": [{"role": p.role, "commit": p.commit} for p in sorted(self.parents)],
            "recipe": recipe,
            "metrics": self.metrics,
            "seen": [{"feed": s.feed, "number": s.number, "commit": s.commit} for s in sorted(self.seen)],
            "created": self.created,
        }
        optional: dict[str, JSON] = {
            "study": self.study,
            "previous": self.previous,
            "tree": self.tree,
            "action": self.action,
            "cases": self.cases,
        }
        if self.certificate is not None:
            optional["certificate"] = self.certificate.to_json() | {"signature": self.certificate.signature}
        return encode(fields | {key: value for key, value in optional.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Commit:
    """A commit whose signature holds. Two commits are equal when their digests are.

    Attributes:
        raw: The bytes as they came: signature, then JSON. Unknown fields live on in them.
        digest: The commit's name.
        federation: Digest of the federation's first charter.
        charter: Digest of the version of the charter under which it was made.
        study: Digest of the commit that opened its study, if it belongs to one.
        feed: The feed's Ed25519 public key, hexadecimal.
        number: Its place in the feed, from 1.
        previous: The commit before it in the feed; None for number 1.
        parents: What it was made from, sorted by role, then digest.
        recipe: By what it was made.
        tree: The model that it holds, if any.
        action: The identity of the action whose success it is, if any.
        metrics: What was measured: integers, or shortest round-trip decimals.
        cases: How many cases were used, if any.
        seen: Heads of other feeds that the author admitted since its previous commit.
        created: Date and time in UTC, for people only.
        certificate: The site key's certificate; in a feed's first commit and nowhere else.
    """

    raw: bytes
    digest: Digest
    federation: Digest
    charter: Digest
    study: Digest | None
    feed: str
    number: int
    previous: Digest | None
    parents: tuple[Parent, ...]
    recipe: Recipe
    tree: Digest | None
    action: Digest | None
    metrics: Mapping[str, str | int]
    cases: int | None
    seen: tuple[Seen, ...]
    created: str
    certificate: Certificate | None

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same commit."""
        return isinstance(other, Commit) and other.digest == self.digest

    def __hash__(self) -> int:
        """Return the hash of the digest."""
        return hash(self.digest)

    def __repr__(self) -> str:
        """Return a few words for people who debug."""
        return f"<Commit {self.digest[:12]} {self.recipe.name} {self.feed[:8]}#{self.number}>"

    def parents_in(self, role: str) -> tuple[Digest, ...]:
        """Return the parents of one role, sorted."""
        return tuple(parent.commit for parent in self.parents if parent.role == role)

    @property
    def base(self) -> Digest | None:
        """The commit that this one started from, if there is exactly one."""
        bases = self.parents_in("base")
        return bases[0] if len(bases) == 1 else None


@dataclass(frozen=True, slots=True)
class UnverifiedCommit:
    """A well-formed commit whose signature nobody has checked yet."""

    signature: bytes
    body: bytes
    claim: Commit


def parse_commit(raw: bytes) -> UnverifiedCommit:
    """Read the bytes of a foreign commit; its form only.

    Raises:
        BudgetSpent: larger than 256 KiB.
        Corrupt: malformed or not canonical.
        Unsupported: of another format.
    """
    what = "a commit"
    if len(raw) <= SIGNATURE_BYTES:
        raise Corrupt("commit-form", "A commit is shorter than its signature.", "Get it again from another holder.")
    signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    fields = decode(body, limit=COMMIT_LIMIT - SIGNATURE_BYTES, what=what)
    check_format(fields, what)
    number = fields.integer("number", least=1)
    claim = Commit(
        raw=raw,
        digest=digest_of(raw),
        federation=parse_digest(fields.values.get("federation"), "A commit's federation"),
        charter=parse_digest(fields.values.get("charter"), "A commit's charter"),
        study=_optional_digest(fields, "study"),
        feed=parse_digest(fields.values.get("feed"), "A commit's feed"),
        number=number,
        previous=_optional_digest(fields, "previous"),
        parents=_parse_parents(fields),
        recipe=_parse_recipe(fields.object("recipe")),
        tree=_optional_digest(fields, "tree"),
        action=_optional_digest(fields, "action"),
        metrics=_parse_metrics(fields),
        cases=fields.integer("cases") if "cases" in fields else None,
        seen=_parse_seen(fields),
        created=fields.text("created", limit=64),
        certificate=_parse_certificate(fields.object("certificate")) if "certificate" in fields else None,
    )
    if (number == 1) != (claim.previous is None) or (number == 1) != (claim.certificate is not None):
        raise Corrupt(
            "commit-chain",
            "A commit numbered 1 has a certificate and no previous; every other one has a previous and no certificate.",
            "Get it again from another holder.",
        )
    return UnverifiedCommit(signature, body, claim)


def _optional_digest(fields: Fields, key: str) -> Digest | None:
    return parse_digest(fields.values[key], f"A commit's {key}") if key in fields else None


def _parse_parents(fields: Fields) -> tuple[Parent, ...]:
    parents = tuple(
        Parent(sys.intern(item.text("role", limit=16)), parse_digest(item.values.get("commit"), "A parent"))
        for item in fields.objects("parents", limit=PARENT_LIMIT)
    )
    if list(parents) != sorted(set(parents)) or any(parent.role not in ROLES for parent in parents):
        raise Corrupt(
            "commit-parents", "A commit's parents are not sorted, repeated or of unknown role.", "Get it again."
        )
    return parents


def _parse_seen(fields: Fields) -> tuple[Seen, ...]:
    seen = tuple(
        Seen(
            parse_digest(item.values.get("feed"), "A seen feed"),
            item.integer("number", least=1),
            parse_digest(item.values.get("commit"), "A seen commit"),
        )
        for item in fields.objects("seen", limit=SEEN_LIMIT)
    )
    if list(seen) != sorted(set(seen)):
        raise Corrupt("commit-seen", "What a commit has seen is not sorted or is repeated.", "Get it again.")
    return seen


def _parse_recipe(fields: Fields) -> Recipe:
    return Recipe(
        name=sys.intern(fields.text("name", limit=64)),
        version=fields.integer("version", least=1),
        parameters=fields.mapping("parameters"),
        seed=fields.integer("seed") if "seed" in fields else None,
    )


def _parse_metrics(fields: Fields) -> Mapping[str, str | int]:
    metrics: dict[str, str | int] = {}
    for name, value in fields.mapping("metrics").items():
        if isinstance(value, str):
            parse_decimal(value, f"Metric '{name[:64]}'")
        elif isinstance(value, bool) or not isinstance(value, int):
            raise Corrupt("commit-metrics", f"Metric '{name[:64]}' is no number.", "Get the commit again.")
        metrics[name] = value
    return metrics


def _parse_certificate(fields: Fields) -> Certificate:
    signature = fields.text("signature", limit=128)
    if len(signature) != 2 * SIGNATURE_BYTES or set(signature) - set("0123456789abcdef"):
        raise Corrupt("certificate-form", "A feed certificate's signature is malformed.", "Get the commit again.")
    return Certificate(
        federation=parse_digest(fields.values.get("federation"), "A certificate's federation"),
        site=parse_digest(fields.values.get("site"), "A certificate's site key"),
        feed=parse_digest(fields.values.get("feed"), "A certificate's feed key"),
        number=fields.integer("number", least=1),
        ends=parse_digest(fields.values["ends"], "A certificate's end") if "ends" in fields else None,
        signature=signature,
        unknown={key: value for key, value in fields.values.items() if key not in _CERTIFICATE_FIELDS},
    )
