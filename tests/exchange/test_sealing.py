"""A seal opens to what was sealed, or to nothing."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagiq.errors import BudgetSpent, Corrupt
from imagiq.exchange.sealing import NAME_BYTES, PIECE_BYTES, SealKey, key_id_in, sealed_size
from imagiq.objects import digest_of

KEY = SealKey(b"k" * 32, "models")
OTHER = SealKey(b"o" * 32, "models")
LIMIT = 2**23


def content_of(size: int) -> bytes:
    """Return bytes that differ from piece to piece."""
    return b"".join(hashlib.sha256(at.to_bytes(8, "little")).digest() for at in range(size // 32 + 1))[:size]


SIZES = (0, 1, 31, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 2 * PIECE_BYTES + 7)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_is_opened_whatever_its_size(size: int) -> None:
    content = content_of(size)
    name, sealed = KEY.seal(content)
    assert len(sealed) == sealed_size(size)
    assert key_id_in(sealed) == KEY.id
    assert name == hmac.digest(KEY.secret, bytes.fromhex(digest_of(content)), "sha256").hex()
    assert KEY.open(name, sealed, limit=size) == content


@given(st.binary(max_size=5000))
def test_every_holder_of_a_key_makes_the_same_bytes(content: bytes) -> None:
    again = SealKey(bytes(KEY.secret), "models")
    assert KEY.seal(content) == again.seal(memoryview(bytearray(content)), digest_of(content))
    assert KEY.seal(content)[0] != OTHER.seal(content)[0]
    assert KEY.open(*KEY.seal(content), limit=LIMIT) == content


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_no_bit_can_be_flipped(content: bytes, data: st.DataObject) -> None:
    name, sealed = KEY.seal(content)
    at = data.draw(st.integers(0, len(sealed) - 1))
    flipped = bytearray(sealed)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Corrupt):
        KEY.open(name, bytes(flipped), limit=LIMIT)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_nothing_can_be_cut_off_or_added(content: bytes, data: st.DataObject) -> None:
    name, sealed = KEY.seal(content)
    with pytest.raises(Corrupt):
        KEY.open(name, sealed[: data.draw(st.integers(0, len(sealed) - 1))], limit=LIMIT)
    with pytest.raises(Corrupt):
        KEY.open(name, sealed + data.draw(st.binary(min_size=1, max_size=50)), limit=LIMIT)


def test_pieces_cannot_be_cut_off_reordered_or_repeated() -> None:
    name, sealed = KEY.seal(content_of(3 * PIECE_BYTES))
    step = PIECE_BYTES + 16
    pieces = [sealed[NAME_BYTES + at * step : NAME_BYTES + (at + 1) * step] for at in range(3)]
    for order in ([0], [0, 1], [1, 0, 2], [0, 1, 1], [0, 0, 2], [2, 1, 0], [0, 1, 2, 2], []):
        with pytest.raises(Corrupt):
            KEY.open(name, sealed[:NAME_BYTES] + b"".join(pieces[at] for at in order), limit=LIMIT)


def test_an_object_under_another_name_is_none() -> None:
    name, sealed = KEY.seal(b"one")
    with pytest.raises(Corrupt):
        KEY.open(KEY.name(digest_of(b"two")), sealed, limit=LIMIT)
    with pytest.raises(Corrupt):
        OTHER.open(name, sealed, limit=LIMIT)
    relabelled = bytes.fromhex(OTHER.id) + sealed[NAME_BYTES:]
    with pytest.raises(Corrupt):
        OTHER.open(name, relabelled, limit=LIMIT)


def test_a_member_cannot_put_other_content_under_a_right_name() -> None:
    name = KEY.name(digest_of(b"what was asked for"))
    forged = KEY._cipher(name).encrypt(bytes(11) + b"\x01", b"what was not", None)
    with pytest.raises(Corrupt, match="another object"):
        KEY.open(name, bytes.fromhex(KEY.id) + forged, limit=LIMIT)


def test_no_more_is_opened_than_was_asked_for() -> None:
    name, sealed = KEY.seal(bytes(1000))
    with pytest.raises(BudgetSpent):
        KEY.open(name, sealed, limit=999)


def test_keys_of_two_purposes_never_pass_for_each_other() -> None:
    assert SealKey(b"k" * 32, "models").id != SealKey(b"k" * 32, "commits").id
    with pytest.raises(Corrupt):
        SealKey(b"short", "models")


def test_a_key_does_not_show() -> None:
    key = SealKey.new("commits")
    shown = repr(key) + str(key)
    assert key.secret.hex()[:16] not in shown
    assert repr(key.secret) not in shown


def test_a_seal_hides_the_digest_too() -> None:
    content = b"a whole tensor" * 100
    name, sealed = KEY.seal(content)
    assert digest_of(content) not in name + sealed.hex()
    assert content[:64] not in sealed
