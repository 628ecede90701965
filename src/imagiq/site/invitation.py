"""Invitations: one short text by which a site finds a federation, and what lies ready for it on a remote.

The text carries the federation's secret, which makes pseudonyms and opens no commit and no model. What the newcomer is
told before it asks to join, its *introduction*, lies sealed on the remote, and the text names it by its digest: who has
compared the text's fingerprint over the phone has compared all of it. The newcomer's request goes to a *mailbox* that
only the holders of the invitation can find.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_bytes
from typing import Final

from imagiq.errors import Corrupt, ImagiqError, Misuse, NotFound, Untrusted
from imagiq.exchange import Remote
from imagiq.exchange.remote import BLOBS
from imagiq.exchange.sealing import SealKey, pseudonym
from imagiq.federation.requests import Applicant, parse_applicant
from imagiq.keys import SiteKey, seal_to
from imagiq.objects import JSON, Charter, Digest, digest_of, encode, parse_charter, parse_digest
from imagiq.objects.canonical import decode
from imagiq.site.home import Seat
from imagiq.site.settings import RemoteSettings

__all__ = [
    "Introduction",
    "Invitation",
    "applicants_in",
    "fingerprint",
    "invitations_made",
    "leave_request",
    "parse_introduction",
    "read_invitation",
]

PREFIX: Final = "imagiq-invitation-1:"
TEXT_LIMIT: Final = 16 * 2**10
INTRODUCTION_LIMIT: Final = 4 * 2**20
REQUEST_LIMIT: Final = 8 * 2**10
MAILBOX_LIMIT: Final = 64
STUDY_LIMIT: Final = 1000
NONCE_BYTES: Final = 16
GROUPS: Final = 5
_WRAP: Final = b"imagiq invitation 1\n"


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What a newcomer is handed.

    Attributes:
        federation: Which one; the digest of version 1 of its charter.
        sponsor: The site key of the member who invites, hexadecimal.
        introduction: The digest of the introduction.
        secret: The federation's; it makes pseudonyms.
        nonce: Tells this invitation from others.
        remotes: Where to exchange; without what only their owner should know.
    """

    federation: Digest
    sponsor: str
    introduction: Digest
    secret: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    remotes: tuple[RemoteSettings, ...] = ()

    @classmethod
    def new(
        cls, introduction: bytes, *, federation: Digest, sponsor: str, secret: bytes, remotes: Sequence[RemoteSettings]
    ) -> Invitation:
        """Draw a new invitation."""
        shown = tuple(
            RemoteSettings(name=remote.name, kind=remote.kind, address=remote.address, key=remote.key)
            for remote in remotes
        )
        return cls(
            federation=federation,
            sponsor=sponsor,
            introduction=digest_of(introduction),
            secret=secret,
            nonce=token_bytes(NONCE_BYTES),
            remotes=shown,
        )

    def text(self, *, exchange_key: str | None = None) -> str:
        """Return the text. ``exchange_key``: only its holder can use it; None: whoever has it."""
        private = self.secret + self.nonce
        if exchange_key is not None:
            private = seal_to(exchange_key, private, _WRAP + bytes.fromhex(self.federation))
        fields: dict[str, JSON] = {
            "federation": self.federation,
            "sponsor": self.sponsor,
            "introduction": self.introduction,
            ("wrapped" if exchange_key is not None else "secret"): private.hex(),
            "remotes": [
                {"name": r.name, "kind": r.kind, "address": r.address} | ({"key": r.key} if r.key else {})
                for r in self.remotes
            ],
        }
        return PREFIX + base64.urlsafe_b64encode(encode(fields)).decode("ascii").rstrip("=")

    @property
    def mailbox(self) -> str:
        """Where on a remote requests are left: looks like a pseudonym."""
        return self._mac(b"imagiq mailbox 1\n").hex()

    @cached_property
    def guest(self) -> SiteKey:
        """The key by which a listener knows who holds the invitation: it may read there, and write to the mailbox."""
        return SiteKey(self._mac(b"imagiq guest 1\n"))

    @property
    def _key(self) -> SealKey:
        return SealKey(self._mac(b"imagiq mailbox key 1\n"), "commits")

    def _mac(self, tag: bytes) -> bytes:
        return hmac.digest(self.secret, tag + bytes.fromhex(self.federation) + self.nonce, "sha256")

    # ------------------------------------------------------------------------------------- what lies on remotes

    def publish(self, remote: Remote, introduction: bytes) -> None:
        """Put the introduction below the sponsor's pseudonym."""
        name, sealed = self._key.seal(introduction, self.introduction)
        remote.put_if_absent(f"{pseudonym(self.secret, self.sponsor)}/{BLOBS}/{name}", sealed)

    def introduced(self, remote: Remote) -> Introduction:
        """Return the introduction.

        Raises:
            NotFound: it is not on the remote.
            Corrupt: it is damaged.
            Unreachable: the remote does not answer.
        """
        name = self._key.name(self.introduction)
        raw = remote.get(f"{pseudonym(self.secret, self.sponsor)}/{BLOBS}/{name}")
        if raw is None:
            raise NotFound(
                "introduction-missing",
                f"What the invitation is about is not on the remote {remote.name}.",
                "Ask who invited you to sync, or for another invitation.",
            )
        return parse_introduction(self._key.open(name, raw, limit=INTRODUCTION_LIMIT), self.federation)

    def record(self) -> dict[str, object]:
        """Return what its maker keeps, secretly."""
        return {"nonce": self.nonce.hex(), "introduction": self.introduction}


def invitations_made(seat: Seat, federation: Digest, sponsor: str, secret: bytes) -> Iterator[Invitation]:
    """Yield the invitations that a site has made.

    Args:
        seat: Where they were noted.
        federation: Which one.
        sponsor: The site's key.
        secret: The federation's.
    """
    noted = seat.noted("invitations")
    for record in noted if isinstance(noted, list) else []:
        if isinstance(record, Mapping):
            yield Invitation(
                federation=federation,
                sponsor=sponsor,
                introduction=parse_digest(record.get("introduction"), "An invitation's introduction"),
                secret=secret,
                nonce=bytes.fromhex(str(record.get("nonce"))),
            )


def leave_request(invitation: Invitation, remote: Remote, applicant: Applicant) -> None:
    """Put a request into the mailbox."""
    raw = encode(applicant.to_json())
    name, sealed = invitation._key.seal(raw, digest_of(raw))  # noqa: SLF001 - one module
    remote.put_if_absent(f"{invitation.mailbox}/{BLOBS}/{name}", sealed)


def applicants_in(invitation: Invitation, remote: Remote) -> list[Applicant]:
    """Return the requests in the mailbox of an invitation; what is none is passed over.

    Raises:
        Unreachable: the remote does not answer.
    """
    found = []
    for number, listed in enumerate(remote.list(f"{invitation.mailbox}/{BLOBS}")):
        if number >= MAILBOX_LIMIT:
            break
        raw = remote.get(f"{invitation.mailbox}/{BLOBS}/{listed.name}", length=2 * REQUEST_LIMIT)
        try:
            plain = invitation._key.open(listed.name, raw or b"", limit=REQUEST_LIMIT)  # noqa: SLF001 - one module
            found.append(parse_applicant(decode(plain, limit=REQUEST_LIMIT, what="a request"), invitation.federation))
        except ImagiqError:
            continue
    return found


def read_invitation(text: str, key: SiteKey) -> Invitation:
    """Read the text of an invitation; white space in it does not count.

    Args:
        text: As it was handed over.
        key: The key of the site that was invited.

    Raises:
        Misuse: it is no invitation.
        Untrusted: it is for another site.
    """
    text = "".join(text.split())
    if not text.startswith(PREFIX) or len(text) > TEXT_LIMIT:
        raise _no_invitation("it does not begin as one")
    encoded = text.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        fields = decode(raw, limit=TEXT_LIMIT, what="an invitation")
        federation = parse_digest(fields.values.get("federation"), "An invitation's federation")
        if "wrapped" in fields:
            private = key.open_sealed(bytes.fromhex(fields.text("wrapped")), _WRAP + bytes.fromhex(federation))
        else:
            private = bytes.fromhex(fields.text("secret"))
        if len(private) != 32 + NONCE_BYTES:
            raise _no_invitation("its secret is cut off")
        remotes = tuple(
            RemoteSettings(
                name=one.text("name"),
                kind=one.text("kind"),
                address=one.text("address"),
                key=one.text("key") if "key" in one else "",
            )
            for one in fields.objects("remotes", limit=16)
        )
        return Invitation(
            federation=federation,
            sponsor=parse_digest(fields.values.get("sponsor"), "An invitation's sponsor"),
            introduction=parse_digest(fields.values.get("introduction"), "An invitation's introduction"),
            secret=private[:32],
            nonce=private[32:],
            remotes=remotes,
        )
    except Untrusted as error:
        raise Untrusted(
            "invitation-for-other", "The invitation is for another site's key.", "Ask for one that is for this site."
        ) from error
    except (Corrupt, ValueError, binascii.Error) as error:
        raise _no_invitation("a part of it is missing or changed") from error


def _no_invitation(why: str) -> Misuse:
    return Misuse("invitation-form", f"This is no invitation: {why}.", "Copy it again, from the first character on.")


def fingerprint(text: str) -> str:
    """Return five groups of five digits that stand for a text, to be compared over the phone."""
    digits = int.from_bytes(hashlib.sha256("".join(text.split()).encode("utf-8")).digest()) % 10 ** (5 * GROUPS)
    padded = f"{digits:0{5 * GROUPS}d}"
    return " ".join(padded[at : at + 5] for at in range(0, 5 * GROUPS, 5))


@dataclass(frozen=True, kw_only=True)
class Introduction:
    """What a newcomer is told before it asks to join.

    Attributes:
        founding: Version 1 of the charter.
        charter: The newest version when the invitation was made.
        studies: The studies of then: title, strategy, task, budget and sites of each.
    """

    founding: Charter
    charter: Charter
    studies: tuple[Mapping[str, JSON], ...] = ()

    def raw(self) -> bytes:
        """Return its bytes."""
        charters = [self.founding.raw.decode("utf-8"), self.charter.raw.decode("utf-8")]
        return encode({"format": 1, "kind": "introduction", "charters": charters, "studies": list(self.studies)})


def parse_introduction(raw: bytes, federation: Digest) -> Introduction:
    """Read an introduction.

    Raises:
        Corrupt: malformed.
        Untrusted: it is about another federation.
    """
    fields = decode(raw, limit=INTRODUCTION_LIMIT, what="an introduction")
    texts = fields.texts("charters", limit=2)
    if fields.text("kind") != "introduction" or len(texts) != 2:
        raise Corrupt("introduction-form", "An introduction is malformed.", "Ask for another invitation.")
    founding, charter = (parse_charter(text.encode("utf-8")) for text in texts)
    if (founding.digest, charter.founding) != (federation, federation):
        raise Untrusted(
            "introduction-federation",
            "What lies on the remote introduces another federation than the invitation names.",
            "Ask who invited you for another invitation.",
        )
    studies = tuple(one.values for one in fields.objects("studies", limit=STUDY_LIMIT))
    return Introduction(founding=founding, charter=charter, studies=studies)
