"""Wraps: how a key to unseal with reaches each member, in a file that tells a relay nothing.

An author *states* that a key is its own, for what, and of which time; the statement is signed by its site key. Whoever
holds the key *wraps* it to members by HPKE and signs the file. A key's id commits to the key, so nobody can wrap another
key under the same id; a bad wrap is only a missing one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from imagiq.errors import Corrupt, Unsupported, Untrusted
from imagiq.exchange.sealing import Purpose, SealKey, pseudonym, recipient_tag
from imagiq.keys import SiteKey, seal_to, verify_words
from imagiq.objects import JSON, Digest, encode, parse_digest
from imagiq.objects.canonical import Fields, decode

__all__ = [
    "WRAPS_LIMIT",
    "Federation",
    "Statement",
    "Wraps",
    "make_wraps",
    "parse_statement",
    "read_wraps",
    "recall_statement",
    "state_key",
]

WRAPS_LIMIT: Final = 2 * 2**20
STATEMENT_LIMIT: Final = 4096
RECIPIENT_LIMIT: Final = 4096
FORMAT: Final = 1
MEMBER: Final = "member"
SIGNATURE_BYTES: Final = 64

_KEY_TAG: Final = b"imagiq key 1\n"
_WRAPS_TAG: Final = b"imagiq wraps 1\n"
_WRAP_TAG: Final = b"imagiq wrap 1\n"


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What all wraps of a federation share.

    Attributes:
        digest: The federation's name; it is signed, and not written.
        secret: What pseudonyms are made with; it never shows.
    """

    digest: Digest
    secret: bytes

    def __repr__(self) -> str:
        """Show which federation it is, and nothing of its secret."""
        return f"Federation({self.digest[:12]})"

    def pseudonym(self, site: str) -> str:
        """Return what a site is called on remotes."""
        return pseudonym(self.secret, site)

    def tag_of(self, exchange_key: str) -> str:
        """Return how wraps name the holder of an X25519 key."""
        return recipient_tag(self.secret, exchange_key)

    def message(self, tag: bytes, body: bytes) -> bytes:
        """Return what is signed."""
        return tag + bytes.fromhex(self.digest) + body


@dataclass(frozen=True, kw_only=True)
class Statement:
    """An author's word that a key is its own.

    Attributes:
        key: The key's id.
        purpose: What it seals.
        author: The author's site key, hexadecimal; in the file stands its pseudonym.
        era: The first charter with the members for whom the key was made.
        version: That charter's version; of an author's keys the one with the highest is the newest.
        models: The id of the key that seals the models of the commits under this one; None for such a key itself.
        raw: What the author signed, as it came.
        signature: By the author's site key, hexadecimal.
    """

    key: str
    purpose: Purpose
    author: str
    era: Digest
    version: int
    models: str | None
    raw: bytes
    signature: str

    def to_json(self) -> dict[str, JSON]:
        """Return how it is kept and travels."""
        return {"statement": self.raw.decode("utf-8"), "signature": self.signature}


def state_key(
    federation: Federation, site: SiteKey, key: SealKey, *, era: Digest, version: int, models: str | None
) -> Statement:
    """State that a key is the site's own."""
    fields: dict[str, JSON] = {
        "format": FORMAT,
        "kind": "key",
        "key": key.id,
        "purpose": key.purpose,
        "author": federation.pseudonym(site.public),
        "era": federation.tag_of(era),
        "version": version,
    }
    raw = encode(fields | ({} if models is None else {"models": models}))
    return Statement(
        key=key.id,
        purpose=key.purpose,
        author=site.public,
        era=Digest(federation.tag_of(era)),
        version=version,
        models=models,
        raw=raw,
        signature=site.sign(federation.message(_KEY_TAG, raw)).hex(),
    )


def parse_statement(fields: Fields, federation: Federation, sites: Mapping[str, str]) -> Statement:
    """Return an author's statement, proven to be by the site that it names.

    Args:
        fields: As :meth:`Statement.to_json` wrote them.
        federation: Which federation it must be for.
        sites: The site keys of all that are or were members, by pseudonym.

    Raises:
        Corrupt: malformed.
        Unsupported: of another format.
        Untrusted: no member says so, or the signature is wrong.
    """
    raw, said = _said(fields)
    author = _site(said.text("author"), sites)
    signature = _hex(fields.text("signature"), SIGNATURE_BYTES)
    verify_words(author, signature, federation.message(_KEY_TAG, raw), "A key's statement")
    return recall_statement(fields, author)


def _said(fields: Fields) -> tuple[bytes, Fields]:
    raw = fields.text("statement").encode("utf-8", "surrogatepass")
    said = decode(raw, limit=STATEMENT_LIMIT, what="a key's statement")
    if said.integer("format") != FORMAT or said.text("kind") != "key":
        raise Unsupported("wraps-format", "A key is stated in a format that is not known here.", "Upgrade imagiq.")
    return raw, said


def recall_statement(fields: Fields, author: str) -> Statement:
    """Return a statement that was verified before, from where only this site can write."""
    raw, said = _said(fields)
    purpose = said.text("purpose")
    if purpose not in {"commits", "models"}:
        raise Unsupported("wraps-purpose", "A key is for a use that is not known here.", "Upgrade imagiq.")
    return Statement(
        key=parse_digest(said.text("key"), "A key's id"),
        purpose="commits" if purpose == "commits" else "models",
        author=author,
        era=parse_digest(said.text("era"), "A key's era"),
        version=said.integer("version", least=1),
        models=parse_digest(said.text("models"), "A key's id") if "models" in said else None,
        raw=raw,
        signature=fields.text("signature"),
    )


@dataclass(frozen=True, kw_only=True)
class Wraps:
    """One file below ``keys/``, verified.

    Attributes:
        statement: Whose key it is.
        by: The site that wrapped it.
        sealed: What was sealed to each recipient, by the recipient's tag. Wraps for other kinds than members are
            refused one by one: they are not among these.
    """

    statement: Statement
    by: str
    sealed: Mapping[str, bytes]

    def unwrap(self, federation: Federation, site: SiteKey) -> SealKey | None:
        """Return the key if it is wrapped to this site, proven to be the one of its id; None if it is not.

        Raises:
            Untrusted: the wrap opens to nothing, or to another key.
        """
        tag = federation.tag_of(site.exchange_public)
        sealed = self.sealed.get(tag)
        if sealed is None:
            return None
        secret = site.open_sealed(sealed, _info(federation, self.statement, tag))
        key = SealKey(secret, self.statement.purpose)
        if key.id != self.statement.key:
            raise Untrusted("wrap-other-key", "A wrap holds another key than it says.", "Ask its maker.")
        return key


def _info(federation: Federation, statement: Statement, tag: str) -> bytes:
    recipient = MEMBER.encode() + b"\n" + bytes.fromhex(tag)
    return federation.message(_WRAP_TAG, bytes.fromhex(statement.key) + recipient)


def make_wraps(
    federation: Federation, site: SiteKey, key: SealKey, statement: Statement, exchange_keys: Iterable[str]
) -> bytes:
    """Return the file that brings a key to the holders of these exchange keys.

    A key that cannot be sealed to is passed over: its owner alone has the loss.
    """
    wraps: list[JSON] = []
    for tag, exchange_key in sorted((federation.tag_of(exchange_key), exchange_key) for exchange_key in exchange_keys):
        try:
            sealed = seal_to(exchange_key, key.secret, _info(federation, statement, tag))
        except Untrusted:
            continue
        wraps.append({"kind": MEMBER, "for": tag, "sealed": sealed.hex()})
    fields: dict[str, JSON] = {"format": FORMAT, "kind": "wraps", "by": federation.pseudonym(site.public)}
    body = encode(fields | statement.to_json() | {"wraps": wraps})
    return site.sign(federation.message(_WRAPS_TAG, body)) + body


def read_wraps(raw: bytes, federation: Federation, sites: Mapping[str, str]) -> Wraps:
    """Return the wraps in a foreign file, proven to be by one who is or was a member, of an author who is or was one.

    Args:
        raw: The bytes as they came.
        federation: Which federation it must be for.
        sites: The site keys of all that are or were members, by pseudonym.

    Raises:
        ImagiqError: it is malformed, too large, of another format, or not by a member.
    """
    body = raw[SIGNATURE_BYTES:]
    fields = decode(body, limit=WRAPS_LIMIT, what="a file of wraps")
    if fields.integer("format") != FORMAT or fields.text("kind") != "wraps":
        raise Unsupported("wraps-format", "A key is wrapped in a format that is not known here.", "Upgrade imagiq.")
    by = _site(fields.text("by"), sites)
    verify_words(by, raw[:SIGNATURE_BYTES], federation.message(_WRAPS_TAG, body), "A file of wraps")
    sealed = {}
    for wrap in fields.objects("wraps", limit=RECIPIENT_LIMIT):
        if wrap.text("kind") == MEMBER:
            tag = parse_digest(wrap.text("for"), "A recipient")
            sealed[str(tag)] = _hex(wrap.text("sealed", limit=1024), None)
    return Wraps(statement=parse_statement(fields, federation, sites), by=by, sealed=sealed)


def _site(pseudonym: str, sites: Mapping[str, str]) -> str:
    site = sites.get(pseudonym)
    if site is None:
        raise Untrusted("wraps-stranger", "A key comes from somebody who is no member.", "Nothing needs to be done.")
    return site


def _hex(text: str, length: int | None) -> bytes:
    if len(text) % 2 == 0 and not set(text) - set("0123456789abcdef") and length in {None, len(text) // 2}:
        return bytes.fromhex(text)
    raise Corrupt("wraps-form", "A file of wraps is malformed.", "Get it from another holder.")
