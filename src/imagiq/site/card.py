"""A site's card: its name and public keys in one short text, for a charter or for an invitation that only it can use."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from imagiq.errors import Corrupt, ImagiqError, Misuse
from imagiq.keys import SiteKey, verify_words
from imagiq.objects import JSON, Member, encode, parse_digest
from imagiq.objects.canonical import decode

__all__ = ["card_of", "read_card"]

PREFIX: Final = "imagiq-site-1:"
LIMIT: Final = 4096
_TAG: Final = b"imagiq card 1\n"


def card_of(name: str, key: SiteKey) -> str:
    """Return a site's card, signed by its key."""
    fields: dict[str, JSON] = {"name": name, "site_key": key.public, "exchange_key": key.exchange_public}
    signed: dict[str, JSON] = fields | {"signature": key.sign(_TAG + encode(fields)).hex()}
    return PREFIX + base64.urlsafe_b64encode(encode(signed)).decode("ascii").rstrip("=")


def read_card(text: str) -> Member:
    """Read a card; white space in it does not count.

    Raises:
        Misuse: it is none, or a part of it was changed.
    """
    text = "".join(text.split())
    encoded = text.removeprefix(PREFIX)
    try:
        if not text.startswith(PREFIX) or len(text) > LIMIT:
            raise Corrupt("card-form", "It does not begin as a card.", "Copy it again.")
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        fields = decode(raw, limit=LIMIT, what="a card")
        member = Member(
            fields.text("name", limit=64),
            parse_digest(fields.text("site_key"), "A card's site key"),
            parse_digest(fields.text("exchange_key"), "A card's exchange key"),
        )
        said: dict[str, JSON] = {k: v for k, v in fields.values.items() if k != "signature"}
        verify_words(member.site_key, bytes.fromhex(fields.text("signature")), _TAG + encode(said), "A card")
    except (ImagiqError, ValueError, binascii.Error) as error:
        raise Misuse(
            "card-form", "This is no site's card, or a part of it was changed.", "Copy what `imagiq init` printed."
        ) from error
    return member
