"""Variation of images in training: drawn from a generator of its own, so that a seed tells all of it."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from imagiq.learning.settings import AugmentationSettings

__all__ = ["augmented"]


def augmented(
    settings: AugmentationSettings, images: Tensor, truth: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Return a batch, varied.

    Args:
        settings: What is varied, and how much.
        images: [images, channels, *space], normalised.
        truth: [images, *space], which moves with its image; or [images], which stays.
        generator: Where all randomness comes from; on the CPU, whatever the images are on.
    """
    if settings.flip:
        images, truth = _flipped(images, truth, generator)
    if settings.rotate_deg or settings.scale:
        images, truth = _moved(settings, images, truth, generator)
    return _shaded(settings, images, generator), truth


def _evenly(generator: Generator, shape: tuple[int, ...], width: float, like: Tensor) -> Tensor:
    """Return numbers drawn evenly from -width to width."""
    drawn = torch.rand(shape, generator=generator)
    return ((2.0 * drawn - 1.0) * width).to(like.device)


def _flipped(images: Tensor, truth: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    has_space = truth.ndim > 1
    for axis in range(2, images.ndim):
        mirrored = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        chosen = mirrored.view(-1, *[1] * (images.ndim - 1))
        images = torch.where(chosen, images.flip(axis), images)
        if has_space:
            truth = torch.where(chosen[:, 0], truth.flip(axis - 1), truth)
    return images, truth


def _moved(
    settings: AugmentationSettings, images: Tensor, truth: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Turn images in the plane of their last two axes and change their size; zeros come in from outside."""
    count, dims = len(images), images.ndim - 2
    angle = _evenly(generator, (count,), math.radians(settings.rotate_deg), images)
    size = 1.0 + _evenly(generator, (count,), settings.scale, images)
    turned = torch.eye(dims, dims + 1, device=images.device).repeat(count, 1, 1)
    ratio = images.shape[-2] / images.shape[-1]  # a grid goes from -1 to 1 along each axis, however long that is
    turned[:, 0, 0] = angle.cos()
    turned[:, 0, 1] = -angle.sin() * ratio
    turned[:, 1, 0] = angle.sin() / ratio
    turned[:, 1, 1] = angle.cos()
    turned[:, :, :dims] /= size.view(-1, 1, 1)
    grid = functional.affine_grid(turned, list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    if truth.ndim > 1:
        masks = functional.grid_sample(truth[:, None].float(), grid, mode="nearest", align_corners=False)
        truth = masks[:, 0].to(truth.dtype)
    return images, truth


def _shaded(settings: AugmentationSettings, images: Tensor, generator: Generator) -> Tensor:
    """Change intensities, each channel of each image by itself; what is 0 outside of the body stays 0 but for noise."""
    each = (*images.shape[:2], *[1] * (images.ndim - 2))
    body = images != 0
    if settings.gamma:
        axes = tuple(range(2, images.ndim))
        low, high = images.amin(axes, keepdim=True), images.amax(axes, keepdim=True)
        span = (high - low).clamp_min(1e-6)
        exponent = 1.0 + _evenly(generator, each, settings.gamma, images)
        images = torch.where(body, ((images - low) / span).clamp_min(0.0) ** exponent * span + low, images)
    if settings.gain:
        images = images * (1.0 + _evenly(generator, each, settings.gain, images))
    if settings.shift:
        images = torch.where(body, images + _evenly(generator, each, settings.shift, images), images)
    if settings.noise:
        strength = torch.rand(each, generator=generator).to(images.device) * settings.noise
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        images = images + strength * noise
    return images
