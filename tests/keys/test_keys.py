"""Keys and signatures: strict, and one check for all."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagiq.errors import Corrupt, Misuse, Untrusted
from imagiq.keys import (
    CERTIFICATE_TAG,
    COMMIT_TAG,
    FIELD_PRIME,
    GROUP_ORDER,
    RECOVERY_TAG,
    SMALL_ORDER_Y,
    FeedKey,
    SiteKey,
    certify,
    recovery_signature,
    sign_commit,
    verify_certificate,
    verify_commit,
    verify_recovery,
)
from imagiq.objects import Draft, Recipe, digest_of, encode, parse_commit
from tests.keys import curve
from tests.objects.strategies import FEDERATION, FEED, SITE, certificate

DRAFT = Draft(
    federation=FEDERATION,
    charter=FEDERATION,
    feed=FEED.public,
    number=1,
    recipe=Recipe("note"),
    created="",
    certificate=certificate(),
)
COMMIT = sign_commit(DRAFT, FEED)
CHARTER = digest_of(b"a charter")


def test_keys_and_signatures_are_those_of_rfc_8032() -> None:
    key = FeedKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )


@settings(max_examples=4)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=50))
def test_signatures_hold_on_the_curve_itself(seed: bytes, message: bytes) -> None:
    key = FeedKey(seed)
    assert curve.holds(bytes.fromhex(key.public), key.sign(message), message)
    assert not curve.holds(bytes.fromhex(key.public), key.sign(message + b"x"), message)


def test_new_keys_differ_and_a_sites_two_keys_are_not_its_seed() -> None:
    assert len({FeedKey.new().seed for _ in range(8)} | {SiteKey.new().seed for _ in range(8)}) == 16
    site = SiteKey(bytes(32))
    assert len({site.public, site.exchange_public, FeedKey(bytes(32)).public, site.seed.hex()}) == 4


def test_the_small_order_points_are_those_of_the_curve() -> None:
    points = curve.points_of_small_order()
    assert len(points) == 8
    assert {y for _, y in points} == SMALL_ORDER_Y
    assert FIELD_PRIME == curve.P
    assert GROUP_ORDER == curve.L


@pytest.mark.parametrize("point", curve.points_of_small_order())
@pytest.mark.parametrize("flip", [0, 0x80])
def test_a_key_of_small_order_is_refused_though_it_signs_anything(point: curve.Point, flip: int) -> None:
    key = bytearray(curve.encode(point))
    if flip == 0:
        tries = [(curve.encode(r) + bytes(32), bytes([n])) for r in curve.points_of_small_order() for n in range(9)]
        assert any(curve.holds(bytes(key), signature, message) for signature, message in tries)
    key[31] ^= flip
    for signature in (bytes(64), bytes(key) + bytes(32), curve.encode(curve.IDENTITY) + bytes(32)):
        with pytest.raises(Untrusted) as caught:
            verify_recovery(bytes(key).hex(), signature.hex(), CHARTER)
        assert caught.value.code == "key-weak"


@pytest.mark.parametrize("above", range(19))
@pytest.mark.parametrize("sign", [0, 2**255])
def test_a_key_that_is_not_written_canonically_is_refused(above: int, sign: int) -> None:
    key = (FIELD_PRIME + above + sign).to_bytes(32, "little")
    with pytest.raises(Untrusted) as caught:
        verify_recovery(key.hex(), bytes(64).hex(), CHARTER)
    assert caught.value.code == "key-weak"


@given(st.binary(min_size=32, max_size=32))
def test_any_key_at_all_is_refused_unless_it_signed(key: bytes) -> None:
    with pytest.raises(Untrusted):
        verify_recovery(key.hex(), recovery_signature(FEED.seed, CHARTER), CHARTER)


@pytest.mark.parametrize("times", [1, 7])
def test_a_signature_has_one_form(times: int) -> None:
    """S + L satisfies the same equation; with it, anybody could give a commit a second name."""
    raw = COMMIT.raw
    s = int.from_bytes(raw[32:64], "little") + times * GROUP_ORDER
    if s < 2**256:
        malleable = raw[:32] + s.to_bytes(32, "little")
        assert curve.holds(bytes.fromhex(FEED.public), malleable, COMMIT_TAG + raw[64:])
        with pytest.raises(Untrusted) as caught:
            verify_commit(parse_commit(malleable + raw[64:]))
        assert caught.value.code == "signature-form"


def test_a_key_with_a_part_of_small_order_signs_nothing() -> None:
    """Readers that multiply by the cofactor would take this signature, those that do not refuse it: none here takes it."""
    message = RECOVERY_TAG + bytes.fromhex(CHARTER)
    a, torsion = 12345, next(point for point in curve.points_of_small_order() if curve.order(point) == 8)
    mixed = curve.encode(curve.add(curve.multiply(a, curve.BASE), torsion))
    refused = 0
    for r in range(1, 5):
        point = curve.encode(curve.multiply(r, curve.BASE))
        k = int.from_bytes(hashlib.sha512(point + mixed + message).digest(), "little") % curve.L
        signature = point + ((r + k * a) % curve.L).to_bytes(32, "little")
        assert curve.holds(mixed, signature, message, cofactor=8)
        if not curve.holds(mixed, signature, message):
            refused += 1
            with pytest.raises(Untrusted):
                verify_recovery(mixed.hex(), signature.hex(), CHARTER)
    assert refused


def test_no_signature_of_one_kind_passes_for_another() -> None:
    body = COMMIT.raw[64:]
    for message in (body, CERTIFICATE_TAG + body, RECOVERY_TAG + body, COMMIT_TAG + COMMIT_TAG + body):
        with pytest.raises(Untrusted):
            verify_commit(parse_commit(FEED.sign(message) + body))
    assert len({COMMIT_TAG, CERTIFICATE_TAG, RECOVERY_TAG}) == 3
    tags = sorted((COMMIT_TAG, CERTIFICATE_TAG, RECOVERY_TAG))
    assert not any(one.startswith(other) for one in tags for other in tags if one is not other)


def test_a_certificate_is_for_one_feed_of_one_federation_by_one_site() -> None:
    assert verify_certificate(COMMIT) == DRAFT.certificate
    good = certificate()
    for wrong in (
        replace(good, federation=CHARTER),
        replace(good, feed=FeedKey(bytes(32)).public),
        replace(good, site=SiteKey(b"2" * 32).public),
        replace(good, number=2),
        replace(good, ends=CHARTER),
        replace(good, unknown={"later": 1}),
        certify(SITE, federation=CHARTER, feed=FEED.public, number=1, ends=None),
        certify(SITE, federation=FEDERATION, feed=SITE.public, number=1, ends=None),
    ):
        with pytest.raises(Untrusted):
            verify_certificate(sign_commit(replace(DRAFT, certificate=wrong), FEED))
    later = sign_commit(replace(DRAFT, number=2, previous=COMMIT.digest, certificate=None), FEED)
    with pytest.raises(Untrusted):
        verify_certificate(later)


def test_what_a_later_version_adds_to_a_certificate_is_signed_too() -> None:
    extended = replace(certificate(), unknown={"expires": "never"}, signature="")
    signature = SITE.sign(CERTIFICATE_TAG + encode(extended.to_json())).hex()
    commit = sign_commit(replace(DRAFT, certificate=replace(extended, signature=signature)), FEED)
    assert verify_certificate(commit).unknown == {"expires": "never"}


@pytest.mark.parametrize(
    "change",
    [
        {"created": "x" * 65},
        {"number": 2},
        {"number": 0},
        {"charter": "A" * 64},
        {"recipe": Recipe("n" * 65)},
        {"recipe": Recipe("note", 1, {"x": "y" * 2**18})},
        {"metrics": {"auc": "0.50"}},
        {"cases": -1},
    ],
)
def test_nothing_is_signed_that_others_would_refuse(change: dict[str, object]) -> None:
    with pytest.raises((Corrupt, Misuse, Exception)) as caught:
        sign_commit(replace(DRAFT, **change), FEED)  # type: ignore[arg-type]
    assert type(caught.value).__module__ == "imagiq.errors"


def test_a_draft_is_signed_by_its_own_feed_only() -> None:
    with pytest.raises(Untrusted):
        sign_commit(DRAFT, FeedKey(b"3" * 32))


def test_a_recovery_signature_is_for_one_charter_and_has_one_form() -> None:
    signature = recovery_signature(FEED.seed, CHARTER)
    verify_recovery(FEED.public, signature, CHARTER)
    with pytest.raises(Untrusted):
        verify_recovery(FEED.public, signature, FEDERATION)
    for other in (signature.upper(), f" {signature}", signature[:-2], f"{signature}00", "g" * 128, "\u0661" * 128):
        with pytest.raises(Corrupt):
            verify_recovery(FEED.public, other, CHARTER)
