"""The pieces of a training in this process: losses, learning rates, moments, preparation, patches, variation, networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from imagiq.errors import ContractBroken, Misuse
from imagiq.imaging.cases import ImageCases
from imagiq.learning import Overlaps, Predictions, Training
from imagiq.learning.deep.augmenting import augmented
from imagiq.learning.deep.losses import loss_of
from imagiq.learning.deep.networks import build
from imagiq.learning.deep.optimising import LearningRates
from imagiq.learning.deep.plain import PlainUNet
from imagiq.learning.deep.preparing import prepared, prepared_images
from imagiq.learning.deep.sampling import batches
from imagiq.learning.fit import check_fit, check_images, places_of
from imagiq.learning.handover import of_patients
from imagiq.learning.own import OwnNetwork
from imagiq.learning.settings import LossSettings, Settings, read_settings
from tests.learning.pictures import CHANNELS, LABELS, TASK, TINY, discs, shades


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute in one thread: on a machine where others work too, several wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings_of(**more: Any) -> Settings:
    return read_settings("segmentation", {**TASK, "network": TINY, **more})


def own(**more: Any) -> OwnNetwork:
    settings = settings_of(**more)
    return OwnNetwork(lambda: build(settings), **{**TASK, "network": TINY, **more})


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --------------------------------------------------------------------------------------------------------- losses


def loss(name: str, *, background: bool = False, whole_batch: bool = True) -> LossSettings:
    return LossSettings(name=name, background=background, whole_batch=whole_batch, focus=2.0)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("whole_batch", [False, True])
@pytest.mark.parametrize("name", ["dice", "dice+ce"])
def test_losses_and_their_gradients_are_those_of_monai(name: str, *, whole_batch: bool, background: bool) -> None:
    monai = pytest.importorskip("monai.losses.dice")
    kind = monai.DiceLoss if name == "dice" else monai.DiceCELoss
    theirs = kind(to_onehot_y=True, softmax=True, include_background=background, batch=whole_batch)
    ours = loss_of(loss(name, background=background, whole_batch=whole_batch))
    truth = torch.randint(0, 3, (4, 9, 8), generator=torch.Generator().manual_seed(1))
    truth[0] = 0
    found = []
    for make in (lambda scores: ours(scores, truth), lambda scores: theirs(scores, truth[:, None])):
        scores = drawn(4, 3, 9, 8).requires_grad_()
        value = make(scores)
        value.backward()
        assert scores.grad is not None
        found.append((value.item(), scores.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-7)


def test_losses_have_the_values_that_a_hand_finds() -> None:
    scores = torch.tensor([[[math.log(3.0)], [0.0]]])  # one pixel: 3/4 and 1/4
    truth = torch.tensor([[1]])
    assert loss_of(loss("ce"))(scores, truth).item() == pytest.approx(math.log(4.0))
    assert loss_of(loss("focal"))(scores, truth).item() == pytest.approx(0.75**2 * math.log(4.0))
    dice = loss_of(loss("dice"))(scores, truth).item()
    assert dice == pytest.approx(1 - (2 * 0.25 + 1e-5) / (0.25 + 1 + 1e-5), rel=1e-5)
    both = loss_of(loss("dice+focal"))(scores, truth).item()
    assert both == pytest.approx(dice + 0.75**2 * math.log(4.0))


@pytest.mark.parametrize("name", ["dice", "dice+ce", "focal", "ce", "dice+focal"])
def test_masks_that_are_empty_give_finite_losses(name: str) -> None:
    scores = drawn(2, 3, 4, 4).requires_grad_()
    value = loss_of(loss(name, whole_batch=False))(scores, torch.zeros(2, 4, 4))
    value.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


# ------------------------------------------------------------------------------------- learning rates and moments


@pytest.mark.parametrize(
    ("schedule", "over", "until", "expected"),
    [
        ("constant", "study", 1.0, [1.0, 1.0]),
        ("cosine", "study", 1.0, [0.5, 0.5 + 0.5 * math.cos(0.75 * math.pi)]),
        ("cosine", "study", None, [0.5, 0.5]),
        ("cosine", "step", 1.0, [1.0, 0.5]),
        ("poly", "study", 1.0, [0.5**0.9, 0.25**0.9]),
    ],
)
def test_learning_rates_follow_the_study(schedule: str, over: str, until: float | None, expected: list[float]) -> None:
    given = settings_of(optimiser={"learning_rate": 1.0, "schedule": schedule, "over": over}).optimiser
    rates = LearningRates(given, 2, 0.5, until)
    assert [rates[0], rates[1]] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_moments_that_are_carried_make_two_trainings_one(name: str) -> None:
    # One image, so that it does not matter that a training draws the order of images anew.
    cases, optimiser = discs(patients=1, slices=1), {"name": name, "schedule": "constant", "moments": "carried"}
    learner = own(optimiser=optimiser, batch=1)
    start = Training(weights=learner.initial(1).weights, cases=cases, budget=6, seed=3, progress=0.0)
    whole = learner.begin(start).result()
    half = learner.begin(replace(start, budget=3)).result()
    both = learner.begin(replace(start, budget=3, weights=half.weights, state=half.state)).result()
    anew = learner.begin(replace(start, budget=3, weights=half.weights)).result()
    assert half.state
    for tensor, values in whole.weights.items():
        assert np.array_equal(both.weights[tensor], values)
    assert any(not np.array_equal(anew.weights[tensor], values) for tensor, values in whole.weights.items())


def test_moments_of_another_optimiser_or_damaged_ones_are_as_none() -> None:
    cases = discs()
    adam, sgd = own(), own(optimiser={"name": "sgd"})
    start = Training(weights=adam.initial(1).weights, cases=cases, budget=2, seed=3, progress=0.0)
    anew = sgd.begin(start).result()
    for state in (adam.begin(start).result().state, b"\x08", b"what?" * 10):
        found = sgd.begin(replace(start, state=state)).result()
        assert all(np.array_equal(found.weights[name], values) for name, values in anew.weights.items())


def test_moments_that_restart_leave_nothing_at_the_site() -> None:
    learner = own(optimiser={"moments": "restart"})
    start = Training(weights=learner.initial(1).weights, cases=discs(), budget=1, seed=3, progress=0.0)
    assert learner.begin(start).result().state == b""


def test_a_proximal_term_holds_the_model_near_where_it_began() -> None:
    cases, far = discs(), []
    for mu in (0.0, 100.0):
        learner = own(optimiser={"name": "sgd", "learning_rate": 0.005, "momentum": 0.0, "proximal_mu": mu})
        start = learner.initial(1).weights
        trained = learner.train(start, cases, budget=20, seed=1, progress=0.0).weights
        far.append(sum(float(((trained[name] - start[name]) ** 2).sum()) for name in start))
    assert far[1] < far[0] / 4


# ----------------------------------------------------------------------------------------------------- preparation


def test_each_channel_of_each_image_is_normalised_where_it_is_not_zero() -> None:
    images = np.zeros((1, 2, 4, 4), np.float32)
    images[0, 0, :2] = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    done = prepared_images(settings_of(), images).numpy()
    assert done[0, 0, :2].mean() == pytest.approx(0.0, abs=1e-6)
    assert done[0, 0, :2].std() == pytest.approx(1.0, rel=1e-6)
    assert not done[0, 0, 2:].any()
    assert not done[0, 1].any(), "an empty channel stays empty"


def test_percentiles_clip_and_unit_scales() -> None:
    images = np.arange(100, dtype=np.float32).reshape(1, 1, 10, 10).repeat(2, axis=1)
    given = settings_of(preparation={"normalise": "unit", "clip_low": 10, "clip_high": 90})
    done = prepared_images(given, images).numpy()[0, 0].ravel()
    assert (done[:10] == 0.0).all()
    assert (done[90:] == 1.0).all()
    assert done[50] == pytest.approx((50 - 9.9) / (89.1 - 9.9), rel=1e-6)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"channels": ("core", "bright")}, "cases-channels", "core, bright"),
        ({"labels": {"rim": 4, "core": 1}}, "cases-labels", "'rim'"),
        ({"labels": {"necrosis": 1}}, "cases-labels", "'necrosis'"),
        ({"truth": np.full((12, 24, 24), 3, np.uint8)}, "cases-label-outside", "the label 3"),
        ({"truth": np.full((12, 24, 24), 300, np.int64)}, "cases-label-outside", "the label 300"),
        ({"truth": np.zeros((12, 24, 25), np.uint8)}, "cases-shape", "[12, 24, 25]"),
        ({"images": np.full((12, 2, 24, 24), np.nan, np.float32)}, "cases-not-finite", "channel 'bright'"),
        ({"images": np.zeros((12, 3, 24, 24), np.float32)}, "cases-shape", "[12, 3, 24, 24]"),
    ],
)
def test_cases_that_a_task_is_not_about_are_refused_by_what_differs(
    change: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ContractBroken) as error:
        own().check(replace(discs(), **change))
    assert error.value.code == code
    assert words in error.value.what


def test_no_cases_and_cases_that_are_no_images_are_refused() -> None:
    empty = replace(discs(), images=np.zeros((0, 2, 24, 24), np.float32), truth=np.zeros((0, 24, 24), np.uint8))
    for cases, code in ((empty, "cases-none"), ([1, 2], "cases-kind")):
        with pytest.raises(ContractBroken) as error:
            own().check(cases)
        assert error.value.code == code


def test_patients_are_numbered_by_their_first_images() -> None:
    cases = replace(discs(patients=2, slices=2), patients=np.array(["z", "a", "z", "b"]))
    assert of_patients(cases).tolist() == [0, 1, 0, 2]


# ------------------------------------------------------------------------------------------- batches and variation


def test_all_images_come_equally_often_and_batches_have_one_size() -> None:
    given, cases = settings_of(batch=5), discs()
    ready = prepared(given, replace(cases, images=cases.images), of_patients(cases))
    stream = batches(given, ready, seed=3)
    found = torch.cat([next(stream)[0] for _ in range(12)])  # 60 images: each of 12 five times
    keys = [hash(image.numpy().tobytes()) for image in found]
    assert {keys.count(key) for key in keys} == {5}
    again = batches(given, ready, seed=3)
    assert torch.equal(found[:5], next(again)[0])


def test_patches_have_their_size_even_beyond_the_border_and_are_centred_on_labels() -> None:
    cases = discs()
    for size in ([8, 8], [40, 16]):
        given = settings_of(patch={"size": size, "foreground": 1.0}, batch=6)
        ready = prepared(given, cases, of_patients(cases))
        images, truth = next(batches(given, ready, seed=1))
        assert images.shape == (6, 2, *size)
        assert truth.shape == (6, *size)
        assert all(bool(mask.any()) for mask in truth)


def test_variation_moves_masks_with_their_images_and_follows_its_seed() -> None:
    given = settings_of(augmentation={"flip": True, "rotate_deg": 90, "scale": 0.2}).augmentation
    truth = torch.zeros(6, 20, 20)
    truth[:, 3:7, 4:15] = 1
    images = truth[:, None].repeat(1, 2, 1, 1)
    first, moved = augmented(given, images, truth, torch.Generator().manual_seed(2))
    again, _ = augmented(given, images, truth, torch.Generator().manual_seed(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, images)
    assert ((first[:, 0] > 0.5) == (moved > 0.5)).float().mean() > 0.97


def test_variation_of_intensities_keeps_what_is_outside_and_may_be_nothing() -> None:
    images = drawn(3, 2, 8, 8)
    images[:, :, :2] = 0.0
    some = settings_of(augmentation={"gain": 0.3, "shift": 0.2, "gamma": 0.3}).augmentation
    varied, _ = augmented(some, images, torch.zeros(3, 8, 8), torch.Generator().manual_seed(1))
    assert not varied[:, :, :2].any()
    assert not torch.allclose(varied, images)
    none, _ = augmented(settings_of().augmentation, images, torch.zeros(3, 8, 8), torch.Generator())
    assert torch.equal(none, images)
    noisy = settings_of(augmentation={"noise": 0.5}).augmentation
    assert augmented(noisy, images, torch.zeros(3, 8, 8), torch.Generator().manual_seed(1))[0][:, :, :2].any()


# --------------------------------------------------------------------------------------------------- whole learners


def test_a_network_learns_masks_and_counts_what_it_draws() -> None:
    learner, cases = own(), discs()
    start = learner.initial(1).weights
    trained = learner.train(start, cases, budget=60, seed=1, progress=0.0)
    again = learner.train(start, cases, budget=60, seed=1, progress=0.0)
    assert all(np.array_equal(trained.weights[name], again.weights[name]) for name in start)
    found = learner.predict(trained.weights, cases)
    assert isinstance(found, Overlaps)
    assert found.regions == ("whole", "core")
    assert (2 * found.common / (found.true + found.drawn))[:, 0].mean() > 0.8
    masks = learner.draw(trained.weights, cases.images)
    assert set(np.unique(masks).tolist()) <= {0, *LABELS.values()}
    first = of_patients(cases) == 0
    assert found.drawn[0].tolist() == [int((masks[first] > 0).sum()), int((masks[first] == 4).sum())]
    assert found.true[0].tolist() == [int((cases.truth[first] > 0).sum()), int((cases.truth[first] == 4).sum())]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_network_learns_classes(classes: int) -> None:
    cases = shades(classes=classes)
    given = {"channels": cases.channels, "labels": cases.labels, "preparation": "none", "batch": 6}
    given["optimiser"] = {"learning_rate": "0.01", "schedule": "constant"}
    settings = read_settings("classification", {**given, "network": {"name": "PlainConvNet"}})
    learner = OwnNetwork(lambda: build(settings), task="classification", **given)  # type: ignore[arg-type]
    trained = learner.train(learner.initial(1).weights, cases, budget=150, seed=1, progress=0.0)
    found = learner.predict(trained.weights, cases)
    assert isinstance(found, Predictions)
    assert found.truth.tolist() == cases.truth.tolist()
    said = (found.score > 0.5).astype(int) if classes == 2 else found.score.argmax(axis=1)
    assert (said == cases.truth).mean() > 0.9
    assert learner.draw(trained.weights, cases.images).sum(axis=1) == pytest.approx(np.ones(len(cases)))


def test_images_of_one_patient_are_one_case_of_one_class() -> None:
    cases = shades(patients=4)
    given = {"channels": cases.channels, "labels": cases.labels}
    settings = read_settings("classification", given)
    learner = OwnNetwork(lambda: build(settings), task="classification", **given)  # type: ignore[arg-type]
    weights = learner.initial(1).weights
    twins = replace(cases, patients=np.array(["a", "b", "a", "b"]))
    by_image, by_patient = learner.predict(weights, cases), learner.predict(weights, twins)
    assert isinstance(by_image, Predictions)
    assert isinstance(by_patient, Predictions)
    assert by_patient.truth.tolist() == [0, 1]
    assert by_patient.score[0] == pytest.approx((by_image.score[0] + by_image.score[2]) / 2)
    with pytest.raises(ContractBroken) as error:
        learner.predict(weights, replace(cases, patients=np.array(["a", "a", "b", "b"])))
    assert error.value.code == "cases-patient-classes"


def test_a_loss_that_diverges_stops_the_training() -> None:
    learner = own(optimiser={"name": "sgd", "learning_rate": 1e30, "clip_norm": 0, "schedule": "constant"})
    with pytest.raises(ContractBroken) as error:
        learner.train(learner.initial(1).weights, discs(), budget=20, seed=1, progress=0.0)
    assert error.value.code == "training-diverged"
    assert "learning rate" in error.value.advice


def test_weights_of_another_network_are_refused_by_the_tensor_that_differs() -> None:
    learner = own()
    other = own(network={"name": "PlainUNet", "parameters": {"channels": [4, 12]}}).initial(0).weights
    with pytest.raises(ContractBroken) as error:
        learner.train(other, discs(), budget=1, seed=1, progress=0.0)
    assert "down.1.0.weight" in error.value.what


def test_seeds_of_pytorch_are_as_they_were_afterwards() -> None:
    before = torch.get_rng_state()
    learner = own()
    learner.train(learner.initial(7).weights, discs(), budget=2, seed=9, progress=0.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_volumes_are_trained_on_in_patches_and_drawn_by_a_sliding_window() -> None:
    cases = volumes()
    given = {
        "channels": CHANNELS,
        "labels": LABELS,
        "dims": 3,
        "patch": {"size": [8, 8, 8]},
        "batch": 2,
        "network": TINY,
        "augmentation": {"flip": True, "rotate_deg": 10},
    }
    settings = read_settings("segmentation", given)
    learner = OwnNetwork(lambda: build(settings), **given)  # type: ignore[arg-type]
    trained = learner.train(learner.initial(1).weights, cases, budget=2, seed=1, progress=0.0)
    assert learner.initial(1).architecture["patch"] == [8, 8, 8]
    assert learner.draw(trained.weights, cases.images).shape == cases.truth.shape


def volumes() -> ImageCases:
    draw = np.random.default_rng(0)
    masks = np.zeros((2, 12, 10, 9), np.uint8)
    masks[:, 4:8, 3:7, 2:6] = 4
    images = draw.normal(0, 0.2, (2, 2, 12, 10, 9)).astype(np.float32) + masks[:, None]
    return replace(discs(), images=images, truth=masks, patients=np.array(["a", "b"]), spacing_mm=(1.0, 1.0, 1.0))


def test_the_default_network_for_slices_has_121_thousand_parameters_and_takes_any_size() -> None:
    network = PlainUNet(spatial_dims=2, in_channels=4, out_channels=4)
    assert sum(parameter.numel() for parameter in network.parameters()) == 121_276
    assert network(drawn(1, 4, 19, 33)).shape == (1, 4, 19, 33)


@pytest.mark.parametrize(
    ("kind", "name", "parameters"),
    [
        ("segmentation", "UNet", {"channels": [4, 8], "strides": [2], "norm": ["group", {"num_groups": 2}]}),
        ("segmentation", "BasicUNet", {"features": [4, 4, 4, 4, 4, 4], "dropout": "0.1"}),
        ("segmentation", "SegResNet", {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}),
        (
            "segmentation",
            "DynUNet",
            {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [4, 8, 8]},
        ),
        ("classification", "resnet10", {}),
        ("classification", "DenseNet", {"init_features": 8, "growth_rate": 4, "block_config": [2, 2]}),
    ],
)
def test_networks_of_monai_are_made_by_name(kind: str, name: str, parameters: dict[str, Any]) -> None:
    given = {"channels": CHANNELS, "labels": LABELS, "network": {"name": name, "parameters": parameters}}
    settings = read_settings(kind, given)
    network = build(settings).eval()
    shape = tuple(network(drawn(2, 2, 32, 32)).shape)
    assert shape == ((2, 3, 32, 32) if kind == "segmentation" else (2, 2))


@pytest.mark.parametrize(
    "change",
    [
        {"channels": []},
        {"labels": {}},
        {"labels": {"a": 1, "b": 1}},
        {"labels": {"a": 255}},
        {"regions": {"whole": ["tumour"]}},
        {"regions": {"whole": []}},
        {"dims": 4},
        {"loss": "diece"},
        {"optimiser": {"learning_rate": 0}},
        {"optimiser": {"learning_rat": 0.1}},
        {"optimiser": {"moments": "kept"}},
        {"preparation": {"clip_low": 60, "clip_high": 40}},
        {"patch": {"size": [8]}},
        {"batch": 0},
        {"batch_norm": "averaged"},
        {"deterministic": "yes"},
        {"augmentation": {"flip": 1}},
        {"epochs": 3},
        {"network": 5},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(Misuse) as error:
        settings_of(**change)
    assert next(iter(change)) in error.value.what or "region" in error.value.what


def test_a_parameter_that_is_misspelt_is_refused_with_the_closest() -> None:
    with pytest.raises(Misuse) as error:
        settings_of(optimiser={"learning_rat": 0.1})
    assert error.value.advice == "Did you mean 'learning_rate'?"


def test_images_alone_are_checked_and_truth_is_placed() -> None:
    with pytest.raises(ContractBroken):
        check_images(settings_of(), np.zeros((1, 3, 4, 4), np.float32))
    check_fit(settings_of(), discs())
    assert set(np.unique(places_of(settings_of(), discs())).tolist()) == {0, 1, 2}
