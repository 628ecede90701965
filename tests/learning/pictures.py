"""Made-up images whose masks a small network learns in seconds, and packages that offer networks for one test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagiq.imaging.cases import ImageCases

CHANNELS = ("bright", "core")
LABELS = {"rim": 1, "core": 4}
TASK = {"channels": CHANNELS, "labels": LABELS, "regions": {"whole": ["rim", "core"], "core": [4]}, "batch": 4}
TINY = {"name": "PlainUNet", "parameters": {"channels": [4, 8]}}


def discs(patients: int = 4, slices: int = 3, size: int = 24, seed: int = 0) -> ImageCases:
    """Return images of discs with a core, in noise."""
    draw = np.random.default_rng(seed)
    count = patients * slices
    rows, columns = np.mgrid[:size, :size]
    images = draw.normal(1.0, 0.2, (count, 2, size, size)).astype(np.float32)
    masks = np.zeros((count, size, size), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        row, column = draw.uniform(size * 0.3, size * 0.7, 2)
        distance = np.hypot(rows - row, columns - column)
        radius = draw.uniform(size * 0.15, size * 0.25)
        mask[distance < radius] = LABELS["rim"]
        mask[distance < radius / 2] = LABELS["core"]
        image[0][mask > 0] += 1.5
        image[1][mask == LABELS["core"]] += 1.5
    return ImageCases(
        images=images,
        truth=masks,
        patients=np.repeat([f"patient {number}" for number in range(patients)], slices),
        channels=CHANNELS,
        labels=LABELS,
        spacing_mm=(1.0, 1.0),
    )


def of_others(cases: ImageCases) -> ImageCases:
    """Return the same images as those of other patients."""
    return replace(cases, patients=np.char.add("another ", cases.patients))


def shades(patients: int = 12, classes: int = 2, seed: int = 0) -> ImageCases:
    """Return images in which the size of a bright square tells their class."""
    draw = np.random.default_rng(seed)
    truth = np.arange(patients) % classes
    images = draw.normal(0.0, 0.3, (patients, 1, 16, 16)).astype(np.float32)
    for image, number in zip(images, truth, strict=True):
        image[:, : 4 * (number + 1), : 4 * (number + 1)] += 2.0
    return ImageCases(
        images=images,
        truth=truth.astype(np.int64),
        patients=np.array([f"patient {number}" for number in range(patients)]),
        channels=("grey",),
        labels={f"class {number}": number for number in range(classes)},
    )


NETWORKS = """
import os, signal, time
from pathlib import Path
import torch
from torch import nn


class Base(nn.Module):
    def __init__(self, *, spatial_dims, in_channels, out_channels, note=""):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.note = note

    def forward(self, images):
        if self.training:
            self.misbehave()
        return self.conv(images)

    def misbehave(self):
        pass

    def once(self):
        try:
            Path(self.note).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class Good(Base):
    pass


class Sleeping(Base):
    def misbehave(self):
        time.sleep(3600)


class Killed(Base):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class KilledOnce(Base):
    def misbehave(self):
        if self.once():
            os.kill(os.getpid(), signal.SIGKILL)


class GpuLost(Base):
    def misbehave(self):
        raise RuntimeError("CUDA error: unspecified launch failure")


class GpuLostOnce(Base):
    def misbehave(self):
        if self.once():
            raise RuntimeError("No CUDA GPUs are available")


class AssertingOnce(Base):
    def misbehave(self):
        if self.once():
            raise RuntimeError("CUDA error: device-side assert triggered")


class Failing(Base):
    def misbehave(self):
        raise KeyError("a secret of patient 7")


class Greedy(Base):
    def misbehave(self):
        self.more = torch.ones(2**31)


class Hungry(Base):
    def forward(self, images):
        more = torch.empty(len(images) * 2**27)
        del more
        return super().forward(images)


class Normed(Base):
    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.norm = nn.BatchNorm2d(sizes["out_channels"])

    def forward(self, images):
        return self.norm(super().forward(images))


class Halving(Base):
    def forward(self, images):
        return super().forward(images)[..., ::2]


class Printing(Base):
    def misbehave(self):
        print("noise on the line " * 1000, flush=True)
        os.write(1, b"more noise")
"""


@contextmanager
def installed(folder: Path, source: str = NETWORKS) -> Iterator[None]:
    """Install a package of networks, for the processes that are started meanwhile."""
    (folder / "kit_of_networks.py").write_text(source)
    package = folder / "kit-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: kit\nVersion: 1.0\n")
    names = [line.split()[1].split("(")[0] for line in source.splitlines() if line.startswith("class ")]
    points = "\n".join(f"{name} = kit_of_networks:{name}" for name in names)
    (package / "entry_points.txt").write_text(f"[imagiq.networks]\n{points}\nTorn = kit_absent:Torn\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        yield
