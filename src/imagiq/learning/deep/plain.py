"""Two networks of our own in plain PyTorch, small enough for a laptop: they need no other package and load at once.

Neither has BatchNorm: its statistics are of one hospital's scanner, and averaging them is what hurts most.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PlainConvNet", "PlainUNet"]

_GROUPS = 4
_SLOPE = 0.01


def _layers(dims: int) -> tuple[type[nn.Module], type[nn.Module], type[nn.Module]]:
    if dims == 2:
        return nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d
    return nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d


def _block(conv: type[nn.Module], inner: int, outer: int) -> nn.Sequential:
    """Two convolutions of width 3, each followed by GroupNorm and a leaky ReLU."""
    layers: list[nn.Module] = []
    for before in (inner, outer):
        layers += [
            conv(before, outer, 3, padding=1, bias=False),
            nn.GroupNorm(min(_GROUPS, outer), outer),
            nn.LeakyReLU(_SLOPE, inplace=True),
        ]
    return nn.Sequential(*layers)


class PlainUNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) with GroupNorm.

    Images of any size: they are padded with zeros to a multiple of what the levels need, and the masks cut back.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of an image.
        out_channels: Classes.
        channels: Features at each level, multiples of 4, from fine to coarse.
    """

    def __init__(
        self, *, spatial_dims: int, in_channels: int, out_channels: int, channels: Sequence[int] = (8, 16, 32, 64)
    ) -> None:
        super().__init__()
        conv, up, pool = _layers(spatial_dims)
        inputs = (in_channels, *channels)
        self.down = nn.ModuleList([_block(conv, inner, outer) for inner, outer in zip(inputs, channels, strict=False)])
        pairs = list(pairwise(channels))
        self.grow = nn.ModuleList([up(coarse, fine, 2, stride=2) for fine, coarse in pairs])
        self.up = nn.ModuleList([_block(conv, 2 * fine, fine) for fine in channels[:-1]])
        self.head = conv(channels[0], out_channels, 1)
        self.pool = pool(2)
        self._multiple = 2 ** (len(channels) - 1)
        self._order = torch.channels_last if spatial_dims == 2 else torch.contiguous_format
        for parameter in self.parameters():
            if parameter.ndim == spatial_dims + 2:
                parameter.data = parameter.data.contiguous(memory_format=self._order)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores [images, classes, *space] of images [images, channels, *space]."""
        size = images.shape[2:]
        missing = [-length % self._multiple for length in size]
        x = images
        if any(missing):
            x = functional.pad(x, [part for length in reversed(missing) for part in (0, length)])
        x = x.contiguous(memory_format=self._order)
        skipped: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            skipped.append(x)
        skipped.pop()
        for grow, block in zip(reversed(self.grow), reversed(self.up), strict=True):
            x = block(torch.cat([skipped.pop(), grow(x)], dim=1))
        scores: Tensor = self.head(x)
        for axis, length in enumerate(size, start=2):
            scores = scores.narrow(axis, 0, length)
        return scores


class PlainConvNet(nn.Module):
    """Convolutions that grow coarser, then the mean over space, then one linear layer.

    Args:
        spatial_dims: 2 or 3.
        in_channels: Channels of an image.
        out_channels: Classes.
        channels: Features at each level, multiples of 4.
    """

    def __init__(
        self, *, spatial_dims: int, in_channels: int, out_channels: int, channels: Sequence[int] = (16, 32, 64)
    ) -> None:
        super().__init__()
        conv, _, pool = _layers(spatial_dims)
        inputs = (in_channels, *channels)
        self.blocks = nn.ModuleList(
            [_block(conv, inner, outer) for inner, outer in zip(inputs, channels, strict=False)]
        )
        self.pool = pool(2)
        self.head = nn.Linear(channels[-1], out_channels)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores [images, classes] of images [images, channels, *space]."""
        x = images
        for level, block in enumerate(self.blocks):
            x = block(self.pool(x) if level else x)
        scores: Tensor = self.head(x.flatten(2).mean(dim=2))
        return scores
