"""What a network is trained with, as values: read and checked where a study is joined, long before anything is trained.

Loads no deep learning framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from imagiq.errors import Misuse
from imagiq.learning.given import Given, out_of_range

__all__ = [
    "AugmentationSettings",
    "ImageSettings",
    "LossSettings",
    "NetworkSettings",
    "OptimiserSettings",
    "Parameters",
    "PatchSettings",
    "PreparationSettings",
    "Settings",
    "read_settings",
]

SEGMENTATION: Final = "segmentation"
CLASSIFICATION: Final = "classification"
LABEL_LIMIT: Final = 255

LOSSES: Final[Mapping[str, tuple[str, ...]]] = {
    SEGMENTATION: ("dice+ce", "dice", "focal", "dice+focal", "ce"),
    CLASSIFICATION: ("ce", "focal"),
}
DEFAULT_NETWORKS: Final[Mapping[str, str]] = {SEGMENTATION: "PlainUNet", CLASSIFICATION: "PlainConvNet"}


class Parameters(TypedDict, total=False):
    """The parameters of a learner with a network, as they are given; ``docs/learning.md`` explains each.

    A table may be given as its ``name`` alone. Numbers with a point may be decimal texts.
    """

    channels: Sequence[str]
    labels: Mapping[str, int]
    regions: Mapping[str, Sequence[str | int]]
    dims: int
    images: Mapping[str, Any]
    network: Mapping[str, Any] | str
    loss: Mapping[str, Any] | str
    optimiser: Mapping[str, Any] | str
    preparation: Mapping[str, Any] | str
    augmentation: Mapping[str, Any]
    patch: Mapping[str, Any]
    batch: int
    batch_norm: str
    deterministic: bool


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """What grid the images lie on, so that a model is given others as it was trained on them.

    Attributes:
        plane: ``axial``, ``coronal`` or ``sagittal`` slices, or ``volume``.
        spacing_mm: Distance of neighbouring pixels or voxels, along each axis; 0: it may differ from image to image.
        shape: Pixels or voxels along each axis; empty: they may differ.
    """

    plane: str
    spacing_mm: float
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Which network, by a name that is known here, and its own parameters."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What is made small.

    Attributes:
        name: ``dice+ce``, ``dice``, ``focal``, ``dice+focal`` or ``ce``.
        background: Whether Dice counts what lies outside all labels as a label of its own.
        whole_batch: Whether Dice takes the images of a batch together, instead of one by one.
        focus: The focal loss's exponent, often called gamma.
    """

    name: str
    background: bool
    whole_batch: bool
    focus: float


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """How it is made small.

    Attributes:
        name: ``adamw`` or ``sgd``.
        learning_rate: At its highest.
        weight_decay: Decoupled for AdamW, part of the gradient for SGD.
        momentum: SGD's, or AdamW's first beta.
        second_momentum: AdamW's second beta.
        moments: ``restart``: each training begins with none; ``carried``: with those that the site's last one left.
        schedule: ``constant``, ``cosine`` or ``poly`` (exponent 0.9): the learning rate falls to 0.
        over: ``study``: along the study's progress, also within a training where its end is known; ``step``: along each
            training by itself.
        clip_norm: The largest norm of a gradient; 0: any.
        proximal_mu: FedProx: half of this times the squared distance from where the training began is added to the loss.
        precision: ``full``, or ``mixed``: half precision where a GPU is.
    """

    name: str
    learning_rate: float
    weight_decay: float
    momentum: float
    second_momentum: float
    moments: str
    schedule: str
    over: str
    clip_norm: float
    proximal_mu: float
    precision: str


@dataclass(frozen=True, kw_only=True)
class PreparationSettings:
    """What is done to each image before the network sees it; each channel by itself.

    Attributes:
        normalise: ``zscore-nonzero``: mean 0 and deviation 1 of what is not 0, the rest stays 0; ``zscore``: of all;
            ``unit``: from the lowest to the highest percentile to 0 ... 1; ``none``.
        clip: The lowest and the highest percentile that is kept, of what is normalised; empty: all.
    """

    normalise: str
    clip: tuple[float, float] | tuple[()]


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How images are varied in training; all 0 or false: they are not.

    Attributes:
        flip: Mirrored along each axis in half of the cases.
        rotate_deg: Turned by up to this many degrees, in the plane of the last two axes.
        scale: Made larger or smaller by up to this part.
        gain: Intensities multiplied by up to this part more or less, each channel by itself.
        shift: Up to this much added to the intensities, each channel by itself.
        gamma: Intensities between lowest and highest bent by an exponent of up to this part more or less.
        noise: Deviation of Gaussian noise, up to this.
        transforms: The name of a chain of transforms that an installed package offers; empty: none.
    """

    flip: bool
    rotate_deg: float
    scale: float
    gain: float
    shift: float
    gamma: float
    noise: float
    transforms: str


@dataclass(frozen=True, kw_only=True)
class PatchSettings:
    """Training on parts of images.

    Attributes:
        size: Pixels or voxels along each axis; empty: whole images.
        foreground: Part of the patches that are centred on something that is labelled.
        overlap: Part by which windows overlap when a model is applied.
    """

    size: tuple[int, ...]
    foreground: float
    overlap: float


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a network is trained and applied with.

    Attributes:
        kind: ``segmentation`` or ``classification``.
        channels: What each channel of an image is.
        labels: Name of a label -> its number in the truth. Of masks, 0 lies outside all labels and is not named.
        regions: Name -> numbers of the labels that make up a region; masks only.
        dims: 2 for slices, 3 for volumes.
        images: On what grid they lie; None: the task does not say.
        network: See there, as are the next five.
        batch: Images or patches in a batch.
        batch_norm: ``refused``, ``shared``: merged as everything is; ``local``: stays at the site (FedBN).
        deterministic: Whether operations that may give other bits at each run are refused.
    """

    kind: str
    channels: tuple[str, ...]
    labels: Mapping[str, int]
    regions: Mapping[str, tuple[int, ...]]
    dims: int
    images: ImageSettings | None
    network: NetworkSettings
    loss: LossSettings
    optimiser: OptimiserSettings
    preparation: PreparationSettings
    augmentation: AugmentationSettings
    patch: PatchSettings
    batch: int
    batch_norm: str
    deterministic: bool

    @property
    def classes(self) -> tuple[int, ...]:
        """What the network's outputs stand for: numbers of labels; for masks, 0 comes first."""
        numbers = tuple(sorted(self.labels.values()))
        return (0, *numbers) if self.kind == SEGMENTATION else numbers


def read_settings(kind: str, parameters: Mapping[str, object]) -> Settings:
    """Read the parameters of a learner.

    Raises:
        Misuse: one is missing, unknown, or out of its range.
    """
    given = Given("", parameters)
    labels = _labels(kind, given.mapping("labels", needed=True))
    dims = given.whole("dims", 2)
    if dims not in {2, 3}:
        raise out_of_range("dims", "2 for slices or 3 for volumes")
    settings = Settings(
        kind=kind,
        channels=given.texts("channels"),
        labels=labels,
        regions=_regions(labels, given.mapping("regions")) if kind == SEGMENTATION else {},
        dims=dims,
        images=given.table("images", lambda table: _images(dims, table) if given.has("images") else None),
        network=given.table("network", lambda table: _network(kind, table)),
        loss=given.table("loss", lambda table: _loss(kind, table)),
        optimiser=given.table("optimiser", _optimiser),
        preparation=given.table("preparation", _preparation),
        augmentation=given.table("augmentation", _augmentation),
        patch=given.table("patch", lambda table: _patch(kind, dims, table)),
        batch=given.whole("batch", 8),
        batch_norm=given.choice("batch_norm", "refused", ("refused", "shared", "local")),
        deterministic=given.flag("deterministic", default=True),
    )
    given.end()
    return settings


def _labels(kind: str, given: Mapping[str, Any]) -> dict[str, int]:
    least, limit = (1, LABEL_LIMIT - 1) if kind == SEGMENTATION else (0, 2**31)
    labels = {name: number for name, number in given.items() if kind != SEGMENTATION or number != 0}
    numbers = list(labels.values())
    fits = all(type(number) is int and least <= number <= limit for number in numbers)
    if not fits or len(set(numbers)) < len(numbers) or len(numbers) < (1 if kind == SEGMENTATION else 2):
        wanted = "names with different whole numbers"
        wanted += f" from {least} to {limit}" if kind == SEGMENTATION else ", two or more"
        raise out_of_range("labels", wanted)
    return labels


def _regions(labels: Mapping[str, int], given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    regions: dict[str, tuple[int, ...]] = {}
    for name, parts in (given or {name: [name] for name in labels}).items():
        if not isinstance(parts, list | tuple) or not parts:
            raise out_of_range(f"regions.{name}", "a list of labels")
        numbers = [labels.get(part, part) for part in parts]
        unknown = [part for part, number in zip(parts, numbers, strict=True) if number not in labels.values()]
        if unknown:
            raise Misuse(
                "learner-regions",
                f"The region '{name}' is made of '{unknown[0]}', which is no label.",
                f"Labels are: {', '.join(labels)}.",
            )
        regions[name] = tuple(sorted(set(numbers)))
    return regions


def _images(dims: int, table: Given) -> ImageSettings:
    known = ("axial", "coronal", "sagittal") if dims == 2 else ("volume",)
    shape = table.wholes("shape", least=1)
    if shape and len(shape) != dims:
        raise out_of_range("images.shape", f"a list of {dims} sizes")
    return ImageSettings(
        plane=table.choice("plane", known[0], known), spacing_mm=table.number("spacing_mm", 0.0), shape=shape
    )


def _network(kind: str, table: Given) -> NetworkSettings:
    name = table.text("name", DEFAULT_NETWORKS[kind])
    return NetworkSettings(name=name, parameters=table.mapping("parameters"))


def _loss(kind: str, table: Given) -> LossSettings:
    return LossSettings(
        name=table.choice("name", LOSSES[kind][0], LOSSES[kind]),
        background=table.flag("background", default=False),
        whole_batch=table.flag("whole_batch", default=True),
        focus=table.number("focus", 2.0),
    )


def _optimiser(table: Given) -> OptimiserSettings:
    name = table.choice("name", "adamw", ("adamw", "sgd"))
    return OptimiserSettings(
        name=name,
        learning_rate=table.number("learning_rate", 0.003, above=True),
        weight_decay=table.number("weight_decay", 0.01 if name == "adamw" else 0.0),
        momentum=table.number("momentum", 0.9, most=0.999999),
        second_momentum=table.number("second_momentum", 0.999, most=0.999999),
        moments=table.choice("moments", "carried", ("restart", "carried")),
        schedule=table.choice("schedule", "cosine", ("constant", "cosine", "poly")),
        over=table.choice("over", "study", ("study", "step")),
        clip_norm=table.number("clip_norm", 1.0),
        proximal_mu=table.number("proximal_mu", 0.0),
        precision=table.choice("precision", "full", ("full", "mixed")),
    )


def _preparation(table: Given) -> PreparationSettings:
    ways = ("zscore-nonzero", "zscore", "unit", "none")
    normalise = table.choice("normalise" if not table.has("name") else "name", ways[0], ways)
    low, high = table.number("clip_low", 0.0, most=100.0), table.number("clip_high", 100.0, most=100.0)
    if low >= high:
        raise out_of_range("preparation.clip_low", "a percentile below clip_high")
    return PreparationSettings(normalise=normalise, clip=() if (low, high) == (0.0, 100.0) else (low, high))


def _augmentation(table: Given) -> AugmentationSettings:
    return AugmentationSettings(
        flip=table.flag("flip", default=False),
        rotate_deg=table.number("rotate_deg", 0.0, most=180.0),
        scale=table.number("scale", 0.0, most=0.9),
        gain=table.number("gain", 0.0, most=0.9),
        shift=table.number("shift", 0.0),
        gamma=table.number("gamma", 0.0, most=0.9),
        noise=table.number("noise", 0.0),
        transforms=table.text("transforms") if table.has("transforms") else "",
    )


def _patch(kind: str, dims: int, table: Given) -> PatchSettings:
    size = table.wholes("size", least=1)
    if size and (kind != SEGMENTATION or len(size) != dims):
        raise out_of_range("patch.size", f"a list of {dims} sizes, for masks")
    return PatchSettings(
        size=size,
        foreground=table.number("foreground", 0.5, most=1.0),
        overlap=table.number("overlap", 0.5, most=0.9),
    )
