"""What is bright and what is dark: by hand, and as a radiologist expects it."""

from __future__ import annotations

import pytest

from imagiq.errors import Misuse
from imagiq.imaging.phantoms.scanners import SCANNERS, UNSEEN, Scanner, scanner
from imagiq.imaging.phantoms.signal import Sequence, brightness, inversion_recovery, spin_echo
from imagiq.imaging.phantoms.tissues import TISSUES, Relaxation, Tissue

WATER = Relaxation(t1_ms=1000.0, t2_ms=100.0)


def test_a_spin_echo_recovers_by_t1_and_decays_by_t2() -> None:
    # 0.5 (1 - e^-0.5) e^-0.2 = 0.5 x 0.393469 x 0.818731
    assert spin_echo(0.5, WATER, repetition_ms=500.0, echo_ms=20.0) == pytest.approx(0.161072, abs=1e-6)
    assert spin_echo(1.0, WATER, repetition_ms=1e6, echo_ms=100.0) == pytest.approx(0.367879, abs=1e-6)


def test_an_inversion_recovery_is_null_where_t1_is_just_right() -> None:
    # 1 - 2 e^-0.5 + e^-5 = 1 - 1.213061 + 0.006738 = -0.206323; its magnitude times e^-1
    found = inversion_recovery(1.0, WATER, repetition_ms=5000.0, echo_ms=100.0, inversion_ms=500.0)
    assert found == pytest.approx(0.206323 * 0.367879, abs=1e-6)
    null = inversion_recovery(1.0, WATER, repetition_ms=1e6, echo_ms=10.0, inversion_ms=693.14718)
    assert null == pytest.approx(0.0, abs=1e-6)


def test_contrast_agent_adds_to_the_rate_of_t1() -> None:
    rim = TISSUES[Tissue.RIM].relaxation(3.0, contrast=True)
    assert rim.t1_ms == pytest.approx(1000.0 / (1000.0 / 1700.0 + 0.57))
    assert rim.t2_ms == TISSUES[Tissue.RIM].relaxation(3.0, contrast=False).t2_ms
    with pytest.raises(Misuse, match=r"7\.0 tesla"):
        TISSUES[Tissue.RIM].relaxation(7.0, contrast=False)


def test_every_tissue_has_values_and_is_slower_to_recover_at_3_tesla() -> None:
    assert len(TISSUES) == len(Tissue)
    for values in TISSUES:
        assert values.at_3t.t1_ms >= values.at_1_5t.t1_ms


@pytest.mark.parametrize(
    ("repetition", "echo", "inversion"), [(500, 0, 0), (500, 500, 0), (500, 10, 500), (500, 10, -1)]
)
def test_times_that_cannot_be_are_refused(repetition: float, echo: float, inversion: float) -> None:
    with pytest.raises(Misuse, match="do not fit together"):
        Sequence(repetition_ms=repetition, echo_ms=echo, inversion_ms=inversion)


ORDERS = {
    "T1": (Tissue.CSF, Tissue.GREY, Tissue.WHITE, Tissue.FAT),
    "T1 of a tumour": (Tissue.NECROSIS, Tissue.SOLID, Tissue.OEDEMA, Tissue.WHITE),
    "T1ce": (Tissue.NECROSIS, Tissue.SOLID, Tissue.WHITE, Tissue.RIM),
    "T2": (Tissue.BONE, Tissue.WHITE, Tissue.GREY, Tissue.OEDEMA, Tissue.CSF),
    "FLAIR": (Tissue.CSF, Tissue.WHITE, Tissue.GREY, Tissue.OEDEMA),
}


@pytest.mark.parametrize("device", SCANNERS.values(), ids=lambda device: device.name)
@pytest.mark.parametrize("what", ORDERS)
def test_each_scanner_shows_tissues_from_dark_to_bright_as_it_should(device: Scanner, what: str) -> None:
    place = ("T1", "T1ce", "T2", "FLAIR").index(what.split(maxsplit=1)[0])
    light = brightness(device.sequences()[place], device.field_t)
    found = [float(light[tissue]) for tissue in ORDERS[what]]
    assert found == sorted(found)


@pytest.mark.parametrize("device", SCANNERS.values(), ids=lambda device: device.name)
def test_contrast_agent_lights_up_the_rim_and_little_else(device: Scanner) -> None:
    before, after = (brightness(each, device.field_t) for each in device.sequences()[:2])
    assert after[Tissue.RIM] > 1.4 * before[Tissue.RIM]
    assert after[Tissue.WHITE] < 1.02 * before[Tissue.WHITE]
    more = brightness(device.sequences()[1], device.field_t, rim_uptake_per_s=1.2)
    assert more[Tissue.RIM] > after[Tissue.RIM]


def test_there_are_five_scanners_or_more_of_both_strengths_and_no_two_are_set_alike() -> None:
    assert len(SCANNERS) >= 5
    assert {device.field_t for device in SCANNERS.values()} == {1.5, 3.0}
    assert len({(device.t1, device.t2, device.flair) for device in SCANNERS.values()}) == len(SCANNERS)
    assert scanner(UNSEEN) is SCANNERS[UNSEEN]
    with pytest.raises(Misuse, match="no scanner 'tesla'"):
        scanner("tesla")
