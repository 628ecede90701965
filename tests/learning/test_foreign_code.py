"""Transforms that packages offer, and scores that networks give: what is wrong with them is said in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imagiq.errors import ContractBroken, ImagiqError, Unsupported
from imagiq.learning.deep.chains import chain_called
from imagiq.learning.own import OwnNetwork
from tests.learning.pictures import TASK, discs, shades

TRANSFORMS = """
class Brighter:
    def set_random_state(self, seed):
        self.seed = seed

    def __call__(self, found):
        return {"image": found["image"] + self.seed, "label": found["label"]}


def flat(found):
    return {"image": found["image"][0], "label": found["label"]}


def apart(found):
    return {"image": found["image"][:, ::2], "label": found["label"]}


def chain_of_flat():
    return flat


def chain_of_apart():
    return apart
"""
POINTS = """[imagiq.transforms]
brighter = kit_of_transforms:Brighter
flat = kit_of_transforms:chain_of_flat
apart = kit_of_transforms:chain_of_apart
torn = kit_absent:Chain
nameless = kit_of_transforms:Nothing
"""


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that offers transforms."""
    (tmp_path / "kit_of_transforms.py").write_text(TRANSFORMS)
    package = tmp_path / "kit_of_transforms-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: kit-of-transforms\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))


class Scores(nn.Module):
    """One layer, whose scores are NaN once it only applies what it learnt."""

    def __init__(self, classes: int, *, dims: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1 if dims == 0 else 2, classes, 1)
        self.dims = dims

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layer(images)
        scores = scores if self.dims else scores.mean((2, 3))
        return scores if self.training else scores * torch.nan


def varied(name: str) -> None:
    image, truth = torch.zeros(2, 6, 4), torch.zeros(6, 4, dtype=torch.int64)
    chain_called(name)(image, truth, 7)


def masks_of_nan() -> None:
    learner: Any = OwnNetwork(lambda: Scores(3, dims=2), **TASK)  # type: ignore[arg-type]
    learner.predict(learner.initial(1).weights, discs())


def classes_of_nan() -> None:
    task: Any = {"channels": ["grey"], "labels": {"class 0": 0, "class 1": 1}}
    learner: Any = OwnNetwork(lambda: Scores(2, dims=0), task="classification", **task)
    learner.predict(learner.initial(1).weights, shades())


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("ask", "kind", "code", "words"),
    [
        (lambda: varied("britghter"), Unsupported, "transforms-unknown", "'britghter'"),
        (lambda: varied("torn"), Unsupported, "transforms-not-loadable", "kit_absent:Chain"),
        (lambda: varied("nameless"), Unsupported, "transforms-not-loadable", "Nothing"),
        (lambda: varied("flat"), ContractBroken, "transforms-shape", "an image of shape [6, 4]"),
        (lambda: varied("apart"), ContractBroken, "transforms-shape", "a label of shape [1, 6, 4]"),
        (masks_of_nan, ContractBroken, "predictions-not-finite", "NaN or infinite"),
        (classes_of_nan, ContractBroken, "predictions-not-finite", "NaN or infinite"),
    ],
)
def test_what_is_wrong_with_foreign_code_is_said_in_words(
    ask: Callable[[], None], kind: type[ImagiqError], code: str, words: str
) -> None:
    with pytest.raises(kind) as error:
        ask()
    assert error.value.code == code
    assert words in error.value.what
    if code == "transforms-unknown":
        assert "brighter" in error.value.advice


@pytest.mark.usefixtures("offered")
def test_a_chain_that_a_package_offers_is_seeded_and_changes_no_case() -> None:
    image, truth = torch.zeros(2, 6, 4), torch.zeros(6, 4, dtype=torch.int64)
    found, label = chain_called("brighter")(image, truth, 7)
    assert np.array_equal(found, image + 7)
    assert np.array_equal(label, truth)
    assert not image.any()
