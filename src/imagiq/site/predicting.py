"""Predicting: what a model that a repository holds draws into an image, or says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagiq.bench import Bench
from imagiq.bench.as_html import SHORT, table
from imagiq.bench.reading import held_model
from imagiq.errors import Misuse, Unsupported
from imagiq.history import Entry
from imagiq.imaging.grid import VOLUME, Grid, channel_files, grid_of, read_channels
from imagiq.imaging.nifti import Volume, write_mask
from imagiq.learning import Classifies, Draws, Learner, Resources
from imagiq.objects import Digest, Schema
from imagiq.site.applying import Ready, ready

__all__ = ["Drawn", "Label", "Said", "apply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """How much of a label a model drew: ``voxels``, and ``ml`` of them."""

    name: str
    number: int
    voxels: int
    ml: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A mask that a model drew.

    Attributes:
        commit: Which model.
        mask: By the labels' numbers; it lies over the image: same axes, same affine.
        labels: How much of each there is.
        grid: The grid on which the model saw the image.
        warnings: What is to be known of it.
    """

    commit: Digest
    mask: Volume
    labels: tuple[Label, ...]
    grid: Grid
    warnings: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Return how much was drawn as a notebook shows it."""
        rows = [(one.number, one.name, one.voxels, f"{one.ml:.2f}") for one in self.labels]
        title = f"Commit {self.commit[:SHORT]} drew, seeing {self.grid.in_words}"
        return table(title, ("label", "", "voxels", "ml"), rows, notes=self.warnings)

    def write(self, path: Path) -> None:
        """Write the mask as NIfTI, so that it lies exactly over the image; errors as :func:`write_mask`'s."""
        write_mask(path, self.mask.array, self.mask)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a model says of an image: ``classes``, name of a class -> its probability; else as :class:`Drawn`."""

    commit: Digest
    classes: Mapping[str, float]
    grid: Grid
    warnings: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Return what was said as a notebook shows it."""
        rows = [(name, f"{value:.4f}") for name, value in self.classes.items()]
        return table(f"Commit {self.commit[:SHORT]} says", ("class", "probability"), rows, notes=self.warnings)


def apply(
    bench: Bench,
    entry: Entry,
    images: Sequence[str],
    *,
    grid: Grid | None = None,
    learner: Learner | None = None,
    resources: Resources | None = None,
) -> Drawn | Said:
    """Apply a commit's model to one image.

    Args:
        bench: Where the model is.
        entry: Its commit.
        images: NIfTI files: one for each channel, in the model's order or as ``CHANNEL=FILE``; or one that holds all.
        grid: The grid to bring the image to; None: the one that the model's schema names, else the image's own.
        learner: Applies the model; None: the one that its study's task names.
        resources: What the learner may use of this machine.

    Returns:
        The mask, or the classes' probabilities: their mean over all slices.

    Raises:
        NotFound: there is no model, no study that says what applies it, or no such file.
        Misuse: there are other channels than the model takes, or the grid is another than the model was trained on.
        ContractBroken: the channels do not lie over each other, or a file does not hold what it should.
        Unsupported: the learner neither draws nor classifies.
    """
    held = held_model(bench, entry)
    grid, told = _grid(held.schema, grid)
    volumes = read_channels(channel_files(images, held.schema.channels), held.schema.channels)
    first = volumes[0]
    cut = grid.cut(np.stack([volume.array for volume in volumes]), first.spacing_mm)
    with ready(bench, entry, learner, resources) as model:
        warnings = (*model.warnings, *told)
        kept = {"state": model.state} if model.state else {}
        if isinstance(model.learner, Draws):
            masks = model.learner.draw(model.weights, cut, **kept)
            return _drawn(model, grid.put_back(masks, first.array.shape, first.spacing_mm), first, grid, warnings)
        if isinstance(model.learner, Classifies):
            scores = model.learner.classify(model.weights, cut, **kept).mean(axis=0)
            names = [name for name, _ in sorted(held.schema.labels.items(), key=lambda one: one[1])]
            classes = dict(zip(names, map(float, scores), strict=True))
            return Said(commit=entry.digest, classes=classes, grid=grid, warnings=warnings)
    raise Unsupported(
        "model-not-for-images",
        f"The model of commit {entry.digest[:12]} neither draws masks nor tells classes of images.",
        "Name a model of a learner such as segmentation or classification.",
    )


def _grid(schema: Schema, wanted: Grid | None) -> tuple[Grid, tuple[str, ...]]:
    """Return the grid to bring an image to, and what is to be said of it.

    Raises:
        Misuse: another grid was asked for than the one that the model was trained on.
    """
    own = grid_of(schema.preprocessing)
    if own is not None:
        if wanted is not None and wanted != own:
            raise Misuse(
                "model-grid-other",
                f"The model takes {own.in_words}; {wanted.in_words} was asked for.",
                "Leave the grid out: images are brought to the model's own.",
            )
        return own, ()
    dims = schema.architecture.get("dims", 2)
    grid = wanted or Grid(plane=VOLUME if dims == 3 else "axial")
    if (grid.plane == VOLUME) != (dims == 3):
        raise Misuse(
            "model-grid-other",
            f"The model takes {'volumes' if dims == 3 else 'slices'}; {grid.in_words} was asked for.",
            f"Say {'volume' if dims == 3 else 'axial, coronal or sagittal'}.",
        )
    if wanted is None:
        return grid, (
            f"The study names no grid (task.images), so the image stays on its own: {grid.in_words}. Say which it was.",
        )
    return grid, ()


def _drawn(model: Ready, mask: NDArray[np.uint8], like: Volume, grid: Grid, warnings: tuple[str, ...]) -> Drawn:
    ml = float(abs(np.linalg.det(like.affine[:3, :3]))) / 1000.0
    counts = np.bincount(mask.ravel(), minlength=256)
    labels = tuple(
        Label(name=name, number=number, voxels=int(counts[number]), ml=int(counts[number]) * ml)
        for name, number in sorted(model.schema.labels.items(), key=lambda one: one[1])
        if number != 0
    )
    drawn = Volume(array=mask, affine=like.affine, frame=like.frame)
    return Drawn(commit=model.entry.digest, mask=drawn, labels=labels, grid=grid, warnings=warnings)
